import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { systemClock } from "#local/core/clock.ts";
import { makePrivateFolder } from "#shared/data-folder/private-folder.ts";
import { currentAssembly } from "../assembly.ts";
import { type CliCommand, numberOption, requiredOption } from "../command.ts";
import { RefusedError, UsageError } from "../errors.ts";
import { version } from "../version.ts";

const MAX_PORT = 65_535;

/** The administrator for whom `up` creates a token. */
const OPERATOR = "operator";
const TOKEN_LIFETIME_SECONDS = 7 * 24 * 3600;

export const up: CliCommand = {
  name: "up",
  summary: "Starts the embedded cloud: the whole control plane on this machine",
  usage: "up --data DIR [--port N]",
  help: [
    ["--data DIR", "where it keeps everything; start it again on the same folder and it continues"],
    ["--port N", "port of the API on the loopback interface (default: a free one, the same at every start)"],
  ],
  examples: [
    "causeway up --data /var/lib/causeway --port 8080",
    "causeway up --data ./cloud --json > cloud.json",
  ],
  options: { data: { type: "string" }, port: { type: "string" } },
  positionals: [],
  async run(call) {
    const dataDir = resolve(requiredOption(call, "data", this.name));
    const port = numberOption(call, "port", this.name);
    if (port !== undefined && port > MAX_PORT)
      throw new UsageError(`a port is at most ${MAX_PORT}`, this.name);
    // Before the assembly, which can take minutes.
    makePrivateFolder(dataDir);
    accessSync(dataDir, constants.W_OK | constants.X_OK);
    const assemblyDir = await currentAssembly((line) => call.terminal.err(`${line}\n`));
    // The embedded cloud is large: only the command that runs it loads it.
    const { startCloud } = await import("#local/cloud.ts");
    const cloud = await startCloud({
      assemblyDir,
      dataDir,
      clock: systemClock,
      program: { name: "causeway up", version },
      ...(port === undefined ? {} : { port }),
    }).catch((error: unknown) => {
      throw refusalOf(error) ?? error;
    });
    const token = await cloud.issueToken({
      userPoolId: cloud.output("CausewayApi", "UserPoolId"),
      clientId: cloud.output("CausewayApi", "UserPoolClientId"),
      username: OPERATOR,
      lifetimeSeconds: TOKEN_LIFETIME_SECONDS,
    });
    call.terminal.out(`${JSON.stringify({ url: cloud.url, token })}\n`);
    if (!call.json)
      call.terminal.err(
        `Running on ${cloud.url}; Ctrl-C stops it.\n  export CAUSEWAY_URL=${cloud.url} CAUSEWAY_TOKEN=${token}\n`,
      );
    await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
    await cloud.close();
  },
};

/** What another program on this machine already uses, or this user may not open. */
function refusalOf(error: unknown): RefusedError | undefined {
  const { code, syscall, port } = (error ?? {}) as NodeJS.ErrnoException & { port?: number };
  if (syscall !== "listen" || (code !== "EADDRINUSE" && code !== "EACCES")) return undefined;
  const why = code === "EADDRINUSE" ? "is used by another program" : "may not be used by this user";
  return new RefusedError(
    `port ${port ?? ""} ${why}`,
    "Stop the program that uses it, or choose another port with --port N; enrolled agents keep using the port of the first start.",
  );
}
