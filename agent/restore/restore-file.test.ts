import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { captureDisk } from "../capture/capture.ts";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { createDiskImage } from "../disk-image/disk-image.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { type DiskSink, restoreDisk } from "./restore.ts";

const MIB = 1024 * 1024;
const settings = { packBytes: 2 * MIB, knownBlocks: 4096 };
/** Ends within a block, and within a page. */
const content = testContent(5 * MIB + 5000, 42);
const repository = { sourceId: "s1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) };
let folder: string;
let disk: Awaited<ReturnType<typeof captureDisk>>["disk"];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "restore-file-"));
  const options = {
    repository,
    disk: new TestDisk(content),
    diskName: "sda",
    now: () => 0,
    random: Math.random,
    settings,
  };
  disk = (await captureDisk(options)).disk;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a raw image that the threads write themselves equals the disk, whatever its size", async () => {
  const path = join(folder, "disk.raw");
  const { sizeBytes, usedBytes } = disk;
  const image = await createDiskImage({ path, format: "raw", sizeBytes, contentBytes: usedBytes });
  const { bytesWritten } = await restoreDisk({ repository, disk, sink: image });
  await image.finish();
  expect((await readFile(path)).equals(content)).toBe(true);
  expect(bytesWritten).toBeLessThanOrEqual(sizeBytes);
  expect(bytesWritten).toBeGreaterThan(0);
});

test("if a file refuses direct writes, it is written through the page cache", async () => {
  const path = join(folder, "refusing.raw");
  const file = await open(path, "wx+");
  // Answers with EINVAL, like a file system that cannot write directly although it opened the file so.
  const refusing = openSync("/proc/self/coredump_filter", constants.O_WRONLY);
  try {
    await file.truncate(disk.sizeBytes);
    await restoreDisk({ repository, disk, sink: sinkOf(file.fd, refusing) });
    expect((await readFile(path)).equals(content)).toBe(true);
  } finally {
    closeSync(refusing);
    await file.close();
  }
});

test("if the storage runs full, the restore fails with the sink's own error", async () => {
  const full = openSync("/dev/full", "w");
  try {
    const restoring = restoreDisk({ repository, disk, sink: sinkOf(full, full) });
    await expect(restoring).rejects.toMatchObject({ name: "RangeError", message: "no room: ENOSPC" });
  } finally {
    closeSync(full);
  }
});

function sinkOf(fd: number, directFd: number): DiskSink {
  const translate = async (error: unknown) =>
    new RangeError(`no room: ${(error as NodeJS.ErrnoException).code}`);
  return {
    write: () => Promise.reject(new Error("the threads write")),
    file: { fd, directFd, translate },
  };
}
