import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import type { Cloud } from "#local/cloud.ts";
import { systemClock } from "#local/core/clock.ts";
import { makePrivateFolder } from "#shared/data-folder/private-folder.ts";
import { currentAssembly } from "../assembly.ts";
import { type CliCommand, numberOption, requiredOption } from "../command.ts";
import { RefusedError, UsageError } from "../errors.ts";
import { version } from "../version.ts";

const MAX_PORT = 65_535;

/** For whom `up` creates a token if no user is named. */
const OPERATOR = "operator";
/** Plain in the audit, and in a shell. */
const USER = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const TOKEN_LIFETIME_SECONDS = 7 * 24 * 3600;

export const up: CliCommand = {
  name: "up",
  summary: "Starts the embedded cloud: the whole control plane on this machine",
  usage: "up --data DIR [--port N] [--user NAME…]",
  help: [
    ["--data DIR", "where it keeps everything; start it again on the same folder and it continues"],
    ["--port N", "port of the API on the loopback interface (default: a free one, the same at every start)"],
    [
      "--user NAME",
      `a person who gets a token, valid for seven days; repeat it for several, who can then approve each other's cutovers (default: ${OPERATOR})`,
    ],
  ],
  examples: [
    "causeway up --data /var/lib/causeway --port 8080",
    "causeway up --data ./cloud --json > cloud.json",
    "causeway up --data ./cloud --user ada --user ben",
  ],
  options: {
    data: { type: "string" },
    port: { type: "string" },
    user: { type: "string", multiple: true },
  },
  positionals: [],
  async run(call) {
    const dataDir = resolve(requiredOption(call, "data", this.name));
    const port = numberOption(call, "port", this.name);
    if (port !== undefined && port > MAX_PORT)
      throw new UsageError(`a port is at most ${MAX_PORT}`, this.name);
    const names = usersOf(call.values.user);
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
    const tokens = await tokensFor(names, cloud);
    const [first = ""] = names;
    call.terminal.out(`${JSON.stringify({ url: cloud.url, token: tokens[first], tokens })}\n`);
    if (!call.json)
      call.terminal.err(`Running on ${cloud.url}; Ctrl-C stops it.\n${exports(cloud.url, tokens)}`);
    await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
    await cloud.close();
  },
};

/** Without repetitions. Throws `UsageError` for a name that is none. */
function usersOf(given: unknown): string[] {
  const names = [...new Set((given as string[] | undefined) ?? [OPERATOR])];
  const wrong = names.find((name) => !USER.test(name));
  if (wrong === undefined) return names;
  throw new UsageError(
    `--user ${wrong}: a name has up to 64 lower-case letters, digits, dots, hyphens and underscores`,
    up.name,
  );
}

async function tokensFor(names: readonly string[], cloud: Cloud): Promise<Record<string, string>> {
  const pool = {
    userPoolId: cloud.output("CausewayApi", "UserPoolId"),
    clientId: cloud.output("CausewayApi", "UserPoolClientId"),
    lifetimeSeconds: TOKEN_LIFETIME_SECONDS,
  };
  const tokens: Record<string, string> = {};
  for (const username of names) tokens[username] = await cloud.issueToken({ ...pool, username });
  return tokens;
}

/** What each user types. */
function exports(url: string, tokens: Readonly<Record<string, string>>): string {
  const lines = Object.entries(tokens).map(([name, token]) => {
    const whose = name === OPERATOR ? "" : `  # ${name}\n`;
    return `${whose}  export CAUSEWAY_URL=${url} CAUSEWAY_TOKEN=${token}\n`;
  });
  return lines.join("");
}

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
