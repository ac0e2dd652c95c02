import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { type ProvisionedStack, provisionAssembly } from "./assembly/provision.ts";
import { listenForOrders } from "./backup/control.ts";
import type { TokenRequest } from "./cognito/user-pools.ts";
import { recordFolderKeys } from "./core/folder-keys.ts";
import { type CloudOptions, openParts } from "./parts.ts";

/** A running embedded cloud. */
export interface Cloud {
  /** Of the HTTP API and, for `AWS_ENDPOINT_URL`, of every AWS service. */
  url: string;
  /** By stack name. */
  stacks: ReadonlyMap<string, ProvisionedStack>;
  /** The output of a stack; throws if there is none. */
  output(stack: string, name: string): string;
  /** A token of the user pool as a signed-in user would have it. */
  issueToken(request: TokenRequest): Promise<string>;
  close(): Promise<void>;
}

/**
 * Runs a synthesized CDK app on this machine and resolves once everything answers. Starting it again on the
 * same directory, after a stop or `kill -9`, continues where it stopped. Throws `FolderInUseError` if another
 * process runs on it, `FolderTooNewError`, `KeysMissingError` or `FolderFileDamagedError` if it cannot be
 * used as it is, and `AssemblyError` for what it cannot run.
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  await using opened = new AsyncDisposableStack();
  const parts = await openParts(options, opened);
  const { gateway, iot, states, scheduler, lambda, pools } = parts;
  const port = await gateway.listen(portOf(options), options.host ?? LOOPBACK);
  rememberPort(options.dataDir, port);
  parts.urls.inside = urlOf(reachableHost(options.host ?? LOOPBACK), port);
  parts.urls.outside = urlOf(options.advertisedHost ?? reachableHost(options.host ?? LOOPBACK), port);
  const stacks = await provisionAssembly(parts.assembly, parts.providers);
  recordFolderKeys(options.dataDir);
  await iot.start();
  gateway.open(parts.services, parts.fallback);
  lambda.start();
  states.start();
  scheduler.start();
  opened.use(await listenForOrders(parts.backup));
  const running = opened.move();
  return {
    url: parts.urls.outside,
    stacks,
    output: (stack, name) => outputOf(stacks, stack, name),
    issueToken: (request) => pools.issueToken(request),
    close: () => running.disposeAsync(),
  };
}

const LOOPBACK = "127.0.0.1";

function outputOf(stacks: ReadonlyMap<string, ProvisionedStack>, stack: string, name: string): string {
  const value = stacks.get(stack)?.outputs[name];
  if (value === undefined) throw new Error(`the stack ${stack} has no output ${name}`);
  return value;
}

function portOf({ port, dataDir }: CloudOptions): number {
  const file = join(dataDir, PORT_FILE);
  return port ?? (existsSync(file) ? Number(readFileSync(file, "utf8")) : 0);
}

function rememberPort(dataDir: string, port: number): void {
  writeFileSync(join(dataDir, PORT_FILE), String(port));
}
const PORT_FILE = "port";

/** Where a server that listens on this address can be reached from the same machine. */
function reachableHost(host: string): string {
  return host === "0.0.0.0" || host === "::" ? LOOPBACK : host;
}

function urlOf(host: string, port: number): string {
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
