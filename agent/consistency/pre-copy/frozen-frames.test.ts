import fc from "fast-check";
import { expect, test } from "vitest";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Frame } from "../../tracking/tracker.ts";
import { FrozenFrames } from "./frozen-frames.ts";

const BLOCKS = 12;
/** The last block of the disk is short. */
const SIZE = BLOCKS * BLOCK_BYTES - 4096;

interface Part {
  first: number;
  count: number;
  fill: number;
}
const part = fc.record({
  first: fc.integer({ min: 0, max: BLOCKS - 1 }),
  count: fc.integer({ min: 1, max: 4 }),
  fill: fc.nat(255),
});

function frameOf({ first, count, fill }: Part): Frame {
  const offset = first * BLOCK_BYTES;
  return {
    disk: "/dev/sda",
    offset,
    bytes: Buffer.alloc(Math.min(count * BLOCK_BYTES, SIZE - offset), fill),
  };
}

async function checkRead(parts: readonly Part[], offset: number, length: number): Promise<void> {
  const frames = parts.map(frameOf);
  const disk = Buffer.alloc(SIZE);
  for (const { offset: at, bytes } of frames) bytes.copy(disk, at);
  const source = new FrozenFrames(SIZE, frames);
  const end = Math.min(offset + length, SIZE);
  const into = Buffer.alloc(length);
  if (source.blocks.bytesWithin(offset, end - offset) < end - offset) {
    await expect(source.read(offset, into)).rejects.toThrow("is not in memory");
    return;
  }
  expect(await source.read(offset, into)).toBe(end - offset);
  expect(into.subarray(0, end - offset).equals(disk.subarray(offset, end))).toBe(true);
}

test("a read returns the bytes of the newest frame of each block, whatever its borders", async () => {
  const [parts, offset] = [fc.array(part, { minLength: 1, maxLength: 8 }), fc.nat(SIZE - 1)];
  await fc.assert(fc.asyncProperty(parts, offset, fc.integer({ min: 1, max: SIZE }), checkRead));
});

test("a read beyond the end returns no bytes", async () => {
  const source = new FrozenFrames(SIZE, []);
  expect(await source.read(SIZE, Buffer.alloc(4096))).toBe(0);
});
