/** A disk whose map has three levels, almost all of it zeros. */
import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { captureDisk } from "../capture/capture.ts";
import type { DiskSource } from "../disk/disk-source.ts";
import { commitDisks, noise, StandbyWorld } from "./testing/standby-world.ts";

const GIB = 2 ** 30;
let world: StandbyWorld;

beforeEach(() => {
  world = new StandbyWorld();
});
afterEach(() => world[Symbol.dispose]());

/** The blocks of a disk that are not zeros, by number. */
type Blocks = ReadonlyMap<number, Buffer>;

function diskOf(sizeBytes: number, blocks: Blocks): DiskSource {
  return {
    ...{ sizeBytes, sectorBytes: 512, currentSizeBytes: async () => sizeBytes, close: async () => {} },
    read: async (offset, into) => {
      into.fill(0);
      for (let at = 0; at < into.length; at += BLOCK_BYTES)
        blocks.get((offset + at) / BLOCK_BYTES)?.copy(into, at);
      return Math.min(into.length, sizeBytes - offset);
    },
  };
}

let points = 0;
async function apply(sizeBytes: number, blocks: Blocks) {
  const used = new BlockSet(sizeBytes, BLOCK_BYTES);
  for (const block of blocks.keys()) used.add(block * BLOCK_BYTES, BLOCK_BYTES);
  const { disk } = await captureDisk({
    ...{ repository: world.repository, disk: diskOf(sizeBytes, blocks), diskName: "sda", used },
    ...{ now: () => 0, random: Math.random },
  });
  return world.apply(await commitDisks(world.store, `rp_large${++points}`, [disk]));
}

test("a delta of a large disk, its growth and its cut cost what changed", async () => {
  const blocks = new Map([0, 70_000, 79_999].map((block) => [block, noise(BLOCK_BYTES)]));
  const first = await apply(5 * GIB, blocks);
  expect(first.bytesWritten).toBe(3 * BLOCK_BYTES);
  blocks.set(70_000, noise(BLOCK_BYTES)).set(40_000, noise(BLOCK_BYTES)).delete(79_999);
  const delta = await apply(5 * GIB, blocks);
  expect(delta).toMatchObject({ bytesWritten: 2 * BLOCK_BYTES, bytesZeroed: BLOCK_BYTES });
  expect(delta.bytesFromRepository).toBeLessThan(6 * BLOCK_BYTES);
  expect(await apply(600 * GIB, blocks)).toMatchObject({ bytesWritten: 0, bytesZeroed: 0 });
  blocks.set(9_000_000, noise(BLOCK_BYTES));
  expect(await apply(600 * GIB, blocks)).toMatchObject({ bytesWritten: BLOCK_BYTES, bytesZeroed: 0 });
  await using image = await open(world.pathOf("sda"), "r");
  for (const [block, bytes] of blocks) {
    const found = Buffer.alloc(BLOCK_BYTES);
    await image.read(found, 0, BLOCK_BYTES, block * BLOCK_BYTES);
    expect(found.equals(bytes), `block ${block}`).toBe(true);
  }
  for (const block of [70_000, 9_000_000, 40_000]) blocks.delete(block);
  await apply(BLOCK_BYTES, blocks);
  const { size, blocks: allocated } = statSync(world.pathOf("sda"));
  expect(size).toBe(BLOCK_BYTES);
  expect(allocated * 512).toBeLessThan(2 * BLOCK_BYTES);
});
