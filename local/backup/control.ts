import { closeSync, openSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import * as z from "zod";
import { type BackupProgress, type BackupSource, backUp } from "./backup.ts";
import type { BackupDestination } from "./destination.ts";

const SOCKET = "control.sock";
const Destination = z.strictObject({ data: z.string().startsWith("/"), keys: z.string().startsWith("/") });
/** One line of the answer: progress, and finally the outcome. */
const Line = z.union([
  z.strictObject({ bytesDone: z.int(), bytesTotal: z.int() }),
  z.strictObject({ done: z.literal(true) }),
  z.strictObject({ failure: z.strictObject({ name: z.string(), message: z.string() }) }),
]);

/** No embedded cloud is running on the directory, so no process can make a consistent copy. */
export class NotRunningError extends Error {
  override readonly name = "NotRunningError";
}

/** The backup failed in the embedded cloud; `failureName` is the error's own name there. */
export class BackupFailedError extends Error {
  override readonly name = "BackupFailedError";
  readonly failureName: string;

  constructor(failureName: string, message: string) {
    super(message);
    this.failureName = failureName;
  }
}

/**
 * Accepts orders from processes on this machine, through a socket in the embedded cloud's directory that only
 * the owner can open. Runs one backup at a time.
 */
export async function listenForOrders(source: BackupSource): Promise<AsyncDisposable> {
  let busy = false;
  const server = createServer((incoming, response) => {
    if (busy) return answer(response, { name: "BackupRunningError", message: "another backup is running" });
    busy = true;
    void serve(source, incoming, response).finally(() => {
      busy = false;
    });
  });
  await atSocket(source.directory, async (path) => {
    // This process owns the directory, so an earlier process left this socket.
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    await chmod(path, 0o600);
  });
  return { [Symbol.asyncDispose]: () => close(server) };
}

async function serve(
  source: BackupSource,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const destination = Destination.parse(await json(incoming));
    await backUp(source, destination, (progress) => void response.write(`${JSON.stringify(progress)}\n`));
    response.end(`${JSON.stringify({ done: true })}\n`);
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    answer(response, { name, message });
  }
}

function answer(response: ServerResponse, failure: { name: string; message: string }): void {
  response.end(`${JSON.stringify({ failure })}\n`);
}

/**
 * Asks the embedded cloud that runs on the directory for a backup, and returns once it is complete. Both
 * paths are absolute. Rejects with `NotRunningError` or `BackupFailedError`.
 */
export async function requestBackup(
  directory: string,
  destination: BackupDestination,
  onProgress: (progress: BackupProgress) => void,
): Promise<void> {
  const response = await post(directory, JSON.stringify(destination));
  let text = "";
  for await (const piece of response) {
    const lines = (text + String(piece)).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines.map((each) => Line.parse(JSON.parse(each)))) {
      if ("failure" in line) throw new BackupFailedError(line.failure.name, line.failure.message);
      if ("done" in line) return;
      onProgress(line);
    }
  }
  throw new BackupFailedError(
    "ControlPlaneEndedError",
    "the control plane ended before the backup was complete",
  );
}

function post(directory: string, body: string): Promise<IncomingMessage> {
  return atSocket(
    directory,
    (socketPath) =>
      new Promise((resolve, reject) => {
        const outgoing = request({ socketPath, method: "POST", path: "/backup" }, resolve);
        outgoing.once("error", (error: NodeJS.ErrnoException) => {
          const isAway = error.code === "ENOENT" || error.code === "ECONNREFUSED";
          reject(isAway ? new NotRunningError(`no control plane runs on ${directory}`) : error);
        });
        outgoing.end(body);
      }),
  );
}

/**
 * Reaches the socket through the directory's descriptor: a socket path is limited to 107 bytes, a directory
 * path is not.
 */
async function atSocket<T>(directory: string, use: (path: string) => Promise<T>): Promise<T> {
  const descriptor = openSync(directory, "r");
  try {
    return await use(join("/proc/self/fd", String(descriptor), SOCKET));
  } finally {
    closeSync(descriptor);
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
