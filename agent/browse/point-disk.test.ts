import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { MappedDisk } from "#shared/format/point.ts";
import { captureDisk } from "../capture/capture.ts";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import type { Repository } from "../repository/repository.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { PointDiskReader } from "./point-disk.ts";

const MIB = 2 ** 20;
const SIZE = 40 * MIB + 1000;
let repository: Repository & { store: MemoryStore };
let content: Buffer;
let disk: MappedDisk;

async function captured(source: TestDisk, diskName: string): Promise<MappedDisk> {
  const settings = { packBytes: 2 * MIB, knownBlocks: 4096 };
  return (
    await captureDisk({ repository, disk: source, diskName, now: () => 0, random: Math.random, settings })
  ).disk;
}

beforeAll(async () => {
  repository = { sourceId: "s1", store: new MemoryStore(), dataKey: randomBytes(32) };
  content = testContent(SIZE, 11);
  // More than a leaf of zeros.
  content.fill(0, 17 * MIB, 35 * MIB);
  disk = await captured(new TestDisk(content), "sda");
});

test("any part reads as it was on the source, in any order and at the same time", async () => {
  const reader = new PointDiskReader(repository, disk);
  const part = fc
    .tuple(fc.nat(SIZE), fc.oneof(fc.nat(5000), fc.nat(3 * MIB)))
    .map(([offset, bytes]) => ({ offset, bytes: Math.min(bytes, SIZE - offset) }));
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 4 }), async (parts) => {
      const found = await Promise.all(parts.map(({ offset, bytes }) => reader.read(offset, bytes)));
      for (const [at, { offset, bytes }] of parts.entries())
        expect(found[at]?.equals(content.subarray(offset, offset + bytes))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test("neighbours are fetched together, so reading on takes no further request", async () => {
  let requests = 0;
  const counting = new Proxy(repository.store, {
    get: (store, name: keyof MemoryStore) =>
      name === "get"
        ? (...args: Parameters<MemoryStore["get"]>) => {
            requests += 1;
            return store.get(...args);
          }
        : store[name],
  });
  const reader = new PointDiskReader({ ...repository, store: counting }, disk);
  await reader.read(0, 4096);
  const first = requests;
  await reader.read(0, 64 * 1024);
  expect(requests).toBe(first);
  await reader.read(0, MIB);
  expect(requests - first).toBeLessThan(8);
});

test("a read beyond the end is refused", async () => {
  const reader = new PointDiskReader(repository, disk);
  await expect(reader.read(SIZE - 10, 11)).rejects.toThrow(RangeError);
});

test("a damaged block is never returned, its object is named, and other blocks still read", async () => {
  const objects = new MemoryStore();
  const packs = [...repository.store.objects].filter(([key]) => key.includes("/packs/"));
  const [damaged] = packs.filter(([, bytes]) => bytes.length > MIB);
  for (const [key, bytes] of repository.store.objects) {
    const copy = Buffer.from(bytes);
    if (key === damaged?.[0]) copy.fill(0x55, 1000, 300_000);
    objects.objects.set(key, copy);
  }
  const reader = new PointDiskReader({ ...repository, store: objects }, disk);
  const errors = new Set<string>();
  let read = 0;
  for (let offset = 0; offset < SIZE; offset += 64 * 1024) {
    const bytes = Math.min(64 * 1024, SIZE - offset);
    const found = await reader.read(offset, bytes).catch((error: { name: string; object?: string }) => {
      errors.add(`${error.name} ${error.object}`);
    });
    if (!found) continue;
    read += 1;
    expect(found.equals(content.subarray(offset, offset + bytes))).toBe(true);
  }
  expect([...errors]).toEqual([`DamagedObjectError ${damaged?.[0]}`]);
  expect(read).toBeGreaterThan(10);
});

test("a missing object is damage, too", async () => {
  const reader = new PointDiskReader({ ...repository, store: new MemoryStore() }, disk);
  await expect(reader.read(0, 512)).rejects.toMatchObject({ name: "DamagedObjectError" });
});

test("bytes that could not be read from the source do not read as zeros, and their neighbours do read", async () => {
  const source = new TestDisk(testContent(4 * MIB, 12));
  source.badSectors.add(3000);
  const bad = await captured(source, "sdb");
  const reader = new PointDiskReader(repository, bad);
  await expect(reader.read(3000 * 512, 512)).rejects.toMatchObject({
    name: "BadRangeReadError",
    message: expect.stringContaining("sdb"),
  });
  const after = 3200 * 512;
  expect((await reader.read(after, 512)).equals(source.bytes.subarray(after, after + 512))).toBe(true);
});
