import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockSet } from "./block-set.ts";
import { intersect, normalize } from "./extents.ts";

const stretchOf = (sizeBytes: number) =>
  fc
    .tuple(fc.nat({ max: sizeBytes }), fc.nat({ max: sizeBytes }))
    .map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
const addedTo = (sizeBytes: number) => fc.array(stretchOf(sizeBytes), { maxLength: 12 });

const AnyDisk = fc
  .record({ sizeBytes: fc.integer({ min: 1, max: 400 }), blockBytes: fc.integer({ min: 1, max: 9 }) })
  .chain(({ sizeBytes, blockBytes }) =>
    fc.record({
      sizeBytes: fc.constant(sizeBytes),
      blockBytes: fc.constant(blockBytes),
      added: addedTo(sizeBytes),
      asked: stretchOf(sizeBytes),
    }),
  );

/** The obvious model: one flag for each byte of the disk. */
function modelOf({
  sizeBytes,
  blockBytes,
  added,
}: Omit<typeof AnyDisk extends fc.Arbitrary<infer T> ? T : never, "asked">) {
  const touched = Array<boolean>(sizeBytes).fill(false);
  for (const { offset, length } of added) touched.fill(true, offset, offset + length);
  return touched.map((_, byte) => {
    const block = byte - (byte % blockBytes);
    return touched.slice(block, block + blockBytes).includes(true);
  });
}

test("a set has the blocks of all added bytes, and no others", () => {
  fc.assert(
    fc.property(AnyDisk, (disk) => {
      const { sizeBytes, blockBytes, added, asked } = disk;
      const set = new BlockSet(sizeBytes, blockBytes);
      for (const { offset, length } of added) set.add(offset, length);
      const model = modelOf(disk);
      const bytes = [...model.keys()].filter(
        (byte) => model[byte] && byte >= asked.offset && byte < asked.offset + asked.length,
      );
      expect(set.within(asked.offset, asked.length)).toEqual(
        normalize(bytes.map((offset) => ({ offset, length: 1 }))),
      );
      expect(set.bytesWithin(asked.offset, asked.length)).toBe(bytes.length);
    }),
    { numRuns: 1000 },
  );
});

test("what two sets of one disk have in common is what both have, and neither of them changes", () => {
  const TwoSets = AnyDisk.chain((disk) => fc.tuple(fc.constant(disk), addedTo(disk.sizeBytes)));
  fc.assert(
    fc.property(TwoSets, ([{ sizeBytes, blockBytes, added }, addedToOther]) => {
      const [a, b] = [new BlockSet(sizeBytes, blockBytes), new BlockSet(sizeBytes, blockBytes)];
      for (const { offset, length } of added) a.add(offset, length);
      for (const { offset, length } of addedToOther) b.add(offset, length);
      const [partsOfA, partsOfB] = [a.within(0, sizeBytes), b.within(0, sizeBytes)];
      expect(BlockSet.common(a, b).within(0, sizeBytes)).toEqual(intersect(partsOfA, partsOfB));
      expect([a.within(0, sizeBytes), b.within(0, sizeBytes)]).toEqual([partsOfA, partsOfB]);
    }),
    { numRuns: 1000 },
  );
});

test.each([
  [new BlockSet(100, 8), new BlockSet(101, 8)],
  [new BlockSet(100, 8), new BlockSet(100, 4)],
])("what sets of different blocks have in common is an error", (a, b) => {
  expect(() => BlockSet.common(a, b)).toThrow(RangeError);
});

test("the set of all blocks is one part as long as the disk", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 99 }),
      (sizeBytes, blockBytes) => {
        const set = BlockSet.all(sizeBytes, blockBytes);
        expect(set.within(0, sizeBytes)).toEqual([{ offset: 0, length: sizeBytes }]);
        expect(set.bytesWithin(0, sizeBytes)).toBe(sizeBytes);
      },
    ),
  );
});

test("a set also works for disks whose byte offsets exceed 32 bits", () => {
  const [tebibyte, block] = [2 ** 40, 65_536];
  const set = new BlockSet(15 * tebibyte, block);
  set.add(14 * tebibyte - 1, 2);
  expect(set.within(0, 15 * tebibyte)).toEqual([{ offset: 14 * tebibyte - block, length: 2 * block }]);
});

test.each([
  [90, 11],
  [-1, 2],
  [5, -1],
  [Number.NaN, 1],
])("bytes beyond the disk are an error: %s, %s", (offset, length) => {
  expect(() => new BlockSet(100, 8).add(offset, length)).toThrow(RangeError);
});
