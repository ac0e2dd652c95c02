import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemoryStore } from "../repository/memory-store.ts";
import { RawSink } from "../repository/raw-sink.ts";
import { restoreDisk } from "../repository/restore.ts";
import { captureDisk } from "./capture.ts";
import { openDisk } from "./disk-source.ts";

const folder = await mkdtemp(join(tmpdir(), "capture-"));
const repository = () => ({ sourceId: "s1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) });

async function image(name: string, bytes: Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

test("a disk comes back byte for byte", async () => {
  const bytes = Buffer.alloc(20 * 1024 * 1024 + 12_345);
  for (let at = 0; at < 3 << 20; at += 4) bytes.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
  bytes.write("the end", bytes.length - 7);
  const path = await image("plain", bytes);
  const repo = repository();
  const disk = await openDisk(path);
  const captured = await captureDisk({ repository: repo, disk, diskName: "sda", now: () => 0 });
  await disk.close();
  const sink = await RawSink.open(join(folder, "restored"), bytes.length);
  await restoreDisk({ repository: repo, disk: captured.disk, sink });
  await sink.close();
  expect((await readFile(join(folder, "restored"))).equals(bytes)).toBe(true);
});
