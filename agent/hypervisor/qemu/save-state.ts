import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { confinedUser, thisStarter } from "./confinement.ts";
import { QmpClient, QmpError } from "./qmp.ts";

/** No limit; QEMU's own is 128 MiB/s. */
const BYTES_PER_SECOND = 2 ** 40;
const CONNECT_LIMIT_MS = 60_000;
const POLL_MS = 50;

const Migration = z.object({ status: z.string(), "error-desc": z.string().optional() });

/**
 * Gives `take` the state of a running guest as QEMU writes it, of which another QEMU with the same arguments
 * can resume. The guest stops then. Rejects with `QmpError` if the state is not complete, and with what
 * `take` throws.
 */
export async function saveState(monitor: Duplex, take: (state: Readable) => Promise<void>): Promise<void> {
  const client = new QmpClient(monitor, () => undefined);
  // QEMU accepts only a descriptor that it is sent, or a socket with a name.
  const folder = await mkdtemp(join(tmpdir(), "causeway-state-"));
  const path = join(folder, "state");
  const server = createServer();
  try {
    server.listen(path);
    await once(server, "listening");
    // No other user gets into the folder.
    const user = confinedUser(await thisStarter());
    if (user !== undefined) for (const one of [path, folder]) await chown(one, user, user);
    await client.connect();
    await client.execute("migrate-set-parameters", { "max-bandwidth": BYTES_PER_SECOND });
    const connection = once(server, "connection", { signal: AbortSignal.timeout(CONNECT_LIMIT_MS) });
    connection.catch(() => undefined);
    await client.execute("migrate", { uri: `unix:${path}` });
    const [socket] = (await connection) as [Socket];
    await take(socket);
    await completed(client);
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function completed(client: QmpClient): Promise<void> {
  for (;;) {
    const { status, "error-desc": detail } = Migration.parse(await client.execute("query-migrate"));
    if (status === "completed") return;
    if (["failed", "cancelled"].includes(status)) throw new QmpError(detail ?? `saving has ${status}`);
    await delay(POLL_MS);
  }
}
