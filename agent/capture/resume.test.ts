import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { verifyDisk } from "../restore/verify.ts";
import { type PutOptions, StoreRefusedError } from "../store/object-store.ts";
import { DirectoryStore } from "../store/testing/directory-store.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { captureDisk } from "./capture.ts";
import { FileJournal } from "./journal.ts";

const MIB = 1024 * 1024;
const folder = await mkdtemp(join(tmpdir(), "resume-"));
afterAll(() => rm(folder, { recursive: true }));
const settings = { packBytes: 2 * MIB, knownBlocks: 4096 };
const dataKey = Buffer.alloc(32, 7);
const readerOf = (bytes: Buffer) => ({
  sizeBytes: bytes.length,
  read: async (at: number, length: number) => bytes.subarray(at, at + length),
});

/** Stores a number of packs, then refuses. */
class Stopping extends MemoryStore {
  puts = 0;
  allowed = Number.POSITIVE_INFINITY;
  override async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    if (this.puts >= this.allowed) throw new StoreRefusedError("AccessDenied", "stopped by the test");
    this.puts += 1;
    await super.put(key, bytes, options);
  }
}

test("a capture that is killed at any moment continues where it stopped, and the disk is equal", async () => {
  const content = testContent(160 * MIB, 61);
  const image = join(folder, "image");
  await writeFile(image, content);
  const [store, journal] = [join(folder, "store"), join(folder, "journal")];
  for (const killAt of [60 * MIB, 110 * MIB]) {
    const child = fork(join(import.meta.dirname, "testing/capture-process.ts"), [image, store, journal]);
    child.on("message", (bytesRead) => {
      if (Number(bytesRead) >= killAt) child.kill("SIGKILL");
    });
    await once(child, "exit");
  }
  const repository = { sourceId: "s1", store: new DirectoryStore(store), dataKey };
  const disk = new TestDisk(content);
  const options = {
    repository,
    disk,
    diskName: "sda",
    journal: new FileJournal(journal),
    now: () => 0,
    random: Math.random,
    settings,
  };
  const captured = await captureDisk(options);
  await verifyDisk({ repository, disk: captured.disk, reader: readerOf(content) });
  expect(captured.statistics.bytesResumed).toBeGreaterThan(0);
  expect(captured.statistics.bytesRead + captured.statistics.bytesResumed).toBe(content.length);
}, 30_000);

test("what was stored before a failure is neither read nor stored again", async () => {
  const content = testContent(200 * MIB, 63);
  const store = new Stopping();
  const repository = { sourceId: "s1", store, dataKey };
  const journal = new FileJournal(join(folder, "failed"));
  const options = { repository, diskName: "sda", journal, now: () => 0, random: Math.random, settings };
  store.allowed = 12;
  const before = new TestDisk(content);
  await expect(captureDisk({ ...options, disk: before })).rejects.toThrow("stopped by the test");
  store.allowed = Number.POSITIVE_INFINITY;
  const { disk, statistics } = await captureDisk({ ...options, disk: new TestDisk(content) });
  await verifyDisk({ repository, disk, reader: readerOf(content) });
  expect(statistics.bytesResumed).toBeGreaterThan(16 * MIB);
  // Lost at the failure: reads, a pack per worker, and packs being uploaded.
  expect(statistics.bytesRead + before.bytesRead).toBeLessThan(content.length + 100 * MIB);
});

test("a journal of another disk, another parent or another size is not used", async () => {
  const path = join(folder, "other");
  const identity = {
    captureId: "00".repeat(16),
    sourceId: "s1",
    diskName: "sda",
    sizeBytes: 5,
    previous: null,
    startedAt: 1,
    view: "",
    basis: "scan" as const,
  };
  const leaf = {
    index: 0,
    kind: "zero" as const,
    bytes: Buffer.alloc(0),
    usedBlocks: 0,
    changedBlocks: 0,
    badRanges: 0,
    badBytes: 0,
  };
  for (const change of [
    { diskName: "sdb" },
    { sizeBytes: 6 },
    { previous: "ff" },
    { sourceId: "s2" },
    { view: "2" },
  ]) {
    const journal = new FileJournal(path);
    await journal.open(identity);
    await journal.append(leaf);
    await journal.close();
    const again = new FileJournal(path);
    expect(await again.open({ ...identity, captureId: "11".repeat(16) })).toEqual(identity);
    expect(again.has(0)).toBe(true);
    await again.close();
    const other = new FileJournal(path);
    expect(await other.open({ ...identity, ...change })).toEqual({ ...identity, ...change });
    expect(other.has(0)).toBe(false);
    await other.close();
  }
});

test("a torn or altered record ends the journal there, and later records can be appended", async () => {
  const path = join(folder, "torn");
  const identity = {
    captureId: "00".repeat(16),
    sourceId: "s1",
    diskName: "sda",
    sizeBytes: 5,
    previous: null,
    startedAt: 1,
    view: "",
    basis: "scan" as const,
  };
  const record = (index: number) => ({
    index,
    kind: "new" as const,
    bytes: Buffer.alloc(100, index),
    usedBlocks: index,
    changedBlocks: index,
    badRanges: 0,
    badBytes: 0,
  });
  const journal = new FileJournal(path);
  await journal.open(identity);
  for (const index of [1, 2, 3]) await journal.append(record(index));
  await journal.close();
  const whole = await readFile(path);
  for (const damaged of [whole.subarray(0, -50), Buffer.from(whole).fill(0xff, whole.length - 20)]) {
    await writeFile(path, damaged);
    const again = new FileJournal(path);
    await again.open(identity);
    expect([1, 2, 3].map((index) => again.has(index))).toEqual([true, true, false]);
    await again.append(record(3));
    expect(await again.read(2)).toEqual(record(2));
    expect(await again.read(3)).toEqual(record(3));
    await again.close();
  }
});
