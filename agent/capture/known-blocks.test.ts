import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { KnownBlocks } from "./known-blocks.ts";
import { SharedMemory } from "./shared-memory.ts";

const geometry = { workers: 1, readSlots: 1, packBuffers: 2, packBytes: 65_536, knownBlocks: 64 };
const stored = (number: number) => ({ pack: 1, number, offset: 100 + number, sealedBytes: 7, at: 3 });

test("a known block is found again, also through another view of the memory", () => {
  const memory = SharedMemory.allocate(geometry);
  const id = randomBytes(32);
  new KnownBlocks(memory).add(id, stored(5));
  const other = new KnownBlocks(SharedMemory.attach(geometry, memory.buffer));
  expect(other.find(id)).toEqual(stored(5));
  other.add(id, stored(6));
  expect(other.find(id)).toEqual(stored(6));
});

test("an id that differs in any byte is not found", () => {
  const known = new KnownBlocks(SharedMemory.allocate(geometry));
  const id = randomBytes(32);
  known.add(id, stored(1));
  for (let at = 0; at < 32; at++) {
    const other = Buffer.from(id);
    other.writeUInt8(other.readUInt8(at) ^ 1, at);
    expect(known.find(other)).toBeUndefined();
  }
});

test("a full table forgets, but never confuses blocks", () => {
  const known = new KnownBlocks(SharedMemory.allocate(geometry));
  const ids = Array.from({ length: 1000 }, () => randomBytes(32));
  for (const [number, id] of ids.entries()) known.add(id, stored(number));
  const found = ids.map((id) => known.find(id)?.number);
  expect(found.every((number, at) => number === undefined || number === at)).toBe(true);
  expect(found.filter((number) => number !== undefined).length).toBeGreaterThan(30);
});
