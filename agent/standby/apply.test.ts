/** What applying a recovery point to a standby costs, and that the standby then equals it. */
import { statSync } from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { testContent } from "../disk/testing/test-disk.ts";
import { type Disks, difference, noise, StandbyWorld } from "./testing/standby-world.ts";

const MIB = 2 ** 20;
/** More than a leaf, and it ends within a block. */
const SIZE = 18 * MIB + 5000;
/** For a handful of map nodes. */
const MAPS = 256 * 1024;
let world: StandbyWorld;

beforeEach(() => {
  world = new StandbyWorld();
});
afterEach(() => world[Symbol.dispose]());

const changed = (bytes: Buffer, blocks: readonly number[], to: (bytes: number) => Buffer = noise): Buffer => {
  const result = Buffer.from(bytes);
  for (const block of blocks) {
    const part = result.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    to(part.length).copy(part);
  }
  return result;
};
const zeros = (bytes: number) => Buffer.alloc(bytes);

test("a delta writes and fetches the blocks that changed, and no others", async () => {
  const disks = { sda: testContent(SIZE, 1), sdb: noise(3 * MIB) };
  const first = await world.apply(await world.capture(disks));
  expect(difference(world.images(), disks)).toBe("");
  expect(first.disks.map(({ how }) => how.method)).toEqual(["changes", "changes"]);
  const next = { ...disks, sda: changed(disks.sda, [0, 3, 4, 260, 288]) };
  const delta = await world.apply(await world.capture(next));
  expect(difference(world.images(), next)).toBe("");
  expect(delta).toMatchObject({ bytesWritten: 4 * BLOCK_BYTES + (SIZE % BLOCK_BYTES), bytesZeroed: 0 });
  expect(delta.disks.map(({ how }) => how.method)).toEqual(["changes", "unchanged"]);
  expect(delta.bytesFetched).toBeLessThan(5 * BLOCK_BYTES + 4096);
  expect(delta.bytesFromRepository).toBeLessThan(5 * BLOCK_BYTES + MAPS);
});

test("applying a point again, or a point without changes, writes nothing", async () => {
  const disks = { sda: testContent(SIZE, 2) };
  const point = await world.capture(disks);
  await world.apply(point);
  for (const same of [point, await world.capture(disks)]) {
    const { bytesFromRepository, ...again } = await world.apply(same);
    expect(again).toMatchObject({ bytesWritten: 0, bytesZeroed: 0, bytesFetched: 0, bytesRead: 0 });
    expect(bytesFromRepository).toBeLessThan(4096);
  }
  expect(difference(world.images(), disks)).toBe("");
});

test("blocks that became zeros take no room, if many of them are side by side", async () => {
  const content = noise(8 * MIB);
  await world.apply(await world.capture({ sda: content }));
  const room = () => statSync(world.pathOf("sda")).blocks * 512;
  const before = room();
  const next = {
    sda: changed(
      changed(content, [2], zeros),
      Array.from({ length: 64 }, (_, at) => 32 + at),
      zeros,
    ),
  };
  const { bytesWritten, bytesZeroed } = await world.apply(await world.capture(next));
  expect({ bytesWritten, bytesZeroed }).toEqual({ bytesWritten: 0, bytesZeroed: 65 * BLOCK_BYTES });
  expect(difference(world.images(), next)).toBe("");
  expect(before - room()).toBeGreaterThanOrEqual(4 * MIB);
});

test("disks that are added, removed, grown, shortened or replaced are followed", async () => {
  const [a, b, c] = [noise(2 * MIB + 512), noise(MIB), noise(MIB)];
  const grown = Buffer.concat([a, Buffer.alloc(20 * MIB), noise(70_000)]);
  const states: Disks[] = [
    { a, b },
    { a: grown, b },
    { a: grown, b, c },
    { a: grown.subarray(0, 3 * MIB + 100), c },
    { a: noise(18 * MIB), c },
    { c: b },
    { c: b.subarray(0, 100_000), a },
    { a: zeros(40 * MIB), c: noise(512) },
    { a: zeros(512), c: Buffer.concat([a, a]) },
  ];
  for (const disks of states) {
    await world.apply(await world.capture(disks));
    expect(difference(world.images(), disks)).toBe("");
  }
});

test("growth by an empty part costs a few map nodes", async () => {
  const small = noise(2 * MIB);
  await world.apply(await world.capture({ sda: small }));
  const large = Buffer.concat([small, zeros(64 * MIB)]);
  const { bytesWritten, bytesFromRepository } = await world.apply(await world.capture({ sda: large }));
  expect(bytesWritten).toBe(0);
  expect(bytesFromRepository).toBeLessThan(MAPS);
  expect(difference(world.images(), { sda: large })).toBe("");
});

test("a standby can go back to an earlier point", async () => {
  const states = [testContent(SIZE, 3), testContent(SIZE - 4 * MIB, 4), testContent(SIZE, 5)];
  const points = [];
  for (const sda of states) points.push(await world.capture({ sda }));
  for (const at of [2, 0, 1, 0]) {
    const [point, sda] = [points[at], states[at]];
    if (!point || !sda) throw new RangeError("no such point");
    await world.apply(point);
    expect(difference(world.images(), { sda })).toBe("");
  }
});

interface Step {
  /** In units of 64 KiB, and 512 bytes more; as before if absent. */
  blocks?: number | undefined;
  noisy: number[];
  zeroed: number[];
  copied: [from: number, to: number][];
}

const place = fc.nat(700);
const step: fc.Arbitrary<Step> = fc.record({
  blocks: fc.option(fc.integer({ min: 1, max: 640 }), { freq: 3, nil: undefined }),
  noisy: fc.array(place, { maxLength: 8 }),
  zeroed: fc.array(place, { maxLength: 8 }),
  copied: fc.array(fc.tuple(place, place), { maxLength: 3 }),
});

function after(bytes: Buffer, { blocks, noisy, zeroed, copied }: Step): Buffer {
  const count = Math.ceil(bytes.length / BLOCK_BYTES);
  const within = (of: readonly number[]) => of.map((block) => block % count);
  let next = changed(changed(bytes, within(noisy)), within(zeroed), zeros);
  for (const [from, to] of copied) {
    const source = next.subarray((from % count) * BLOCK_BYTES, ((from % count) + 1) * BLOCK_BYTES);
    next = changed(next, [to % count], (length) => Buffer.concat([source, zeros(BLOCK_BYTES)], length));
  }
  const length = blocks === undefined ? next.length : blocks * BLOCK_BYTES + 512;
  return Buffer.concat([next, zeros(length)], length);
}

/** How many blocks of the second are not zeros and differ from the first. */
function blocksToWrite(before: Buffer, now: Buffer): number {
  let count = 0;
  for (let at = 0; at < now.length; at += BLOCK_BYTES) {
    const block = now.subarray(at, at + BLOCK_BYTES);
    const other = Buffer.concat([before.subarray(at, at + BLOCK_BYTES), zeros(BLOCK_BYTES)], block.length);
    if (!block.equals(other) && !block.equals(zeros(block.length))) count += 1;
  }
  return count;
}

test("after any sequence of points the standby equals the last, and no more was fetched than changed", async () => {
  const run = async (steps: Step[]) => {
    using world = new StandbyWorld();
    let sda: Buffer = zeros(20 * MIB);
    for (const each of [{ noisy: [0, 300], zeroed: [], copied: [] }, ...steps]) {
      const next = after(sda, each);
      const wanted = blocksToWrite(sda, next) * BLOCK_BYTES;
      const applied = await world.apply(await world.capture({ sda: next }));
      expect(difference(world.images(), { sda: next })).toBe("");
      expect(applied.bytesWritten).toBeLessThanOrEqual(wanted);
      // Sealing adds a few bytes. A block that was copied within the disk is stored in a unit of up to four.
      const most = wanted * 1.001 + each.copied.length * 8 * BLOCK_BYTES;
      expect(applied.bytesFetched).toBeLessThanOrEqual(most);
      sda = next;
    }
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), run), { numRuns: 4 });
});
