import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { type ProvisionedStack, provisionAssembly } from "./assembly/provision.ts";
import { listenForOrders } from "./backup/control.ts";
import type { TokenRequest } from "./cognito/user-pools.ts";
import { recordFolderKeys } from "./core/folder-keys.ts";
import type { Usage } from "./core/usage.ts";
import { type CloudOptions, openParts } from "./parts.ts";

/** A running embedded cloud. */
export interface Cloud {
  /** The URL of the HTTP API, and of every AWS service (for `AWS_ENDPOINT_URL`). */
  url: string;
  /** The provisioned stacks by name. */
  stacks: ReadonlyMap<string, ProvisionedStack>;
  /** Returns an output of a stack. Throws if the stack has no such output. */
  output(stack: string, name: string): string;
  /** Issues an access token of the user pool, like that of a signed-in user. */
  issueToken(request: TokenRequest): Promise<string>;
  /** What AWS would have charged for since the start. */
  usage(): Usage;
  close(): Promise<void>;
}

/**
 * Runs a synthesized CDK app on this machine. Resolves once everything answers. If it is started again on the
 * same data directory, after a stop or `kill -9`, it continues where it stopped. Throws `FolderInUseError` if
 * another process uses the directory; `FolderTooNewError`, `KeysMissingError` or `FolderFileDamagedError` if
 * the directory is not usable as it is; and `AssemblyError` if it cannot run the app.
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
    usage: () => parts.meter.usage,
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

/** The address at which this machine reaches its own server that listens on `host`. */
function reachableHost(host: string): string {
  return host === "0.0.0.0" || host === "::" ? LOOPBACK : host;
}

function urlOf(host: string, port: number): string {
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
