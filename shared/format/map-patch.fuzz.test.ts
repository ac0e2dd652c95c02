/** Patches of map nodes: as captures write them, and as a compromised source can seal them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_SEALED_BYTES, UNIT_BLOCKS } from "./blob.ts";
import { DamagedObjectError } from "./errors.ts";
import {
  type BlobRef,
  decodeInnerNode,
  decodeLeaf,
  encodeInnerNode,
  encodeLeaf,
  type InnerNode,
  type Leaf,
} from "./map-node.ts";
import {
  decodePatch,
  encodeInnerNodeOn,
  encodeLeafOn,
  encodePatch,
  patchedInnerNode,
  patchedLeaf,
} from "./map-patch.ts";
import { FAN_OUT } from "./tree.ts";

const blobAt = (pack: number, number = 0): BlobRef => ({
  pack: { name: Buffer.alloc(32, pack), salt: Buffer.alloc(16, pack) },
  ...{ number, offset: 100 * number, sealedBytes: 50 },
});
const BASE = blobAt(200, 7);
const blockOf = (content: number) => ({
  unit: blobAt(content % 5, content % 3),
  at: content % UNIT_BLOCKS,
  id: Buffer.alloc(32, content + 1),
});
const childOf = (content: number) => ({
  blob: blobAt(content % 5, content),
  hash: Buffer.alloc(32, content),
});

function slots<T>(contents: readonly number[], make: (content: number) => T): (T | undefined)[] {
  return contents.map((content) => (content === 0 ? undefined : make(content)));
}

/** What each slot has, 0 for zeros, and later changes of some of them. */
const history = fc.record({
  before: fc.array(fc.nat(60), { minLength: FAN_OUT, maxLength: FAN_OUT, size: "max" }),
  changes: fc.array(fc.tuple(fc.nat(FAN_OUT - 1), fc.nat(60)), { maxLength: 90 }),
});

function after({ before, changes }: { before: number[]; changes: [number, number][] }): number[] {
  const contents = [...before];
  for (const [slot, content] of changes) contents[slot] = content;
  return contents;
}

const runs = { numRuns: 100 };

test("whatever changes in a leaf, what is stored gives it back, and a patch is at most a quarter of it", () => {
  const badRange = fc.record({ offset: fc.nat(2 ** 24), bytes: fc.nat(4096) });
  fc.assert(
    fc.property(history, fc.array(badRange, { maxLength: 3 }), (contents, badRanges) => {
      const base: Leaf = { index: 3, blocks: slots(contents.before, blockOf), badRanges: [] };
      const leaf: Leaf = { index: 3, blocks: slots(after(contents), blockOf), badRanges };
      const { whole, stored } = encodeLeafOn(leaf, { ref: BASE, node: base });
      expect(encodeLeaf(decodeLeaf(whole, 3, "leaf")).equals(whole)).toBe(true);
      const patch = decodePatch(stored, 0, 3, "leaf");
      if (!patch) {
        expect(stored).toBe(whole);
        return;
      }
      expect(stored.length).toBeLessThanOrEqual(whole.length / 4);
      expect(patch.base).toEqual(BASE);
      expect(encodeLeaf(patchedLeaf(patch, base)).equals(whole)).toBe(true);
      expect(() => decodePatch(stored, 0, 4, "leaf")).toThrow(DamagedObjectError);
      expect(() => decodePatch(stored, 1, 3, "leaf")).toThrow(DamagedObjectError);
      // A reader that knows no patches refuses it, and so does one that needs a whole node.
      expect(() => decodeLeaf(stored, 3, "leaf")).toThrow(DamagedObjectError);
    }),
    runs,
  );
});

test("whatever changes in an inner node, what is stored gives it back", () => {
  fc.assert(
    fc.property(history, (contents) => {
      const base: InnerNode = { level: 2, index: 1, children: slots(contents.before, childOf) };
      const node: InnerNode = { level: 2, index: 1, children: slots(after(contents), childOf) };
      const { whole, stored } = encodeInnerNodeOn(node, { ref: BASE, node: base });
      const patch = decodePatch(stored, 2, 1, "node");
      const read = patch ? patchedInnerNode(patch, base) : decodeInnerNode(stored, 2, 1, "node");
      expect(encodeInnerNode(read).equals(whole)).toBe(true);
      if (patch) expect(() => decodeInnerNode(stored, 2, 1, "node")).toThrow(DamagedObjectError);
    }),
    runs,
  );
});

test("one changed block of 256 costs less than 1 % of a block, and many are stored whole", () => {
  const contents = Array.from({ length: FAN_OUT }, (_, slot) => 1 + (slot % 60));
  const base: Leaf = { index: 0, blocks: slots(contents, blockOf), badRanges: [] };
  const changed = (count: number): Leaf => ({
    ...base,
    blocks: base.blocks.map((block, slot) => (slot < count ? blockOf(70 + slot) : block)),
  });
  const bytes = (count: number) => encodeLeafOn(changed(count), { ref: BASE, node: base }).stored.length;
  expect(bytes(1)).toBeLessThan(655);
  expect(decodePatch(encodeLeafOn(changed(100), { ref: BASE, node: base }).stored, 0, 0, "leaf")).toBe(
    undefined,
  );
  expect(encodeLeafOn(changed(1), undefined).stored).toEqual(encodeLeafOn(changed(1), undefined).whole);
});

const patches = [0, 1].map((level) =>
  encodePatch({
    ...{ level, index: 5, base: BASE },
    slots: new Map([
      [0, { blob: blobAt(1), at: 0, hash: Buffer.alloc(32, 1) }],
      [9, undefined],
      [255, { blob: blobAt(2), at: level === 0 ? 3 : 0, hash: Buffer.alloc(32, 2) }],
    ]),
    badRanges: level === 0 ? [{ offset: 512, bytes: 512 }] : [],
  }),
);

test.each([0, 1])("whatever bytes a patch of level %i has, it is bounded, or is refused", (level) => {
  const whole = patches[level] ?? Buffer.alloc(0);
  const change = fc.tuple(fc.nat(whole.length - 1), fc.constantFrom(0, 1, 2, 0x7f, 0xff));
  const damaged = fc
    .tuple(fc.array(change, { maxLength: 6 }), fc.nat(whole.length), fc.nat(3))
    .map(([changes, cut, way]) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes.writeUInt8(value, at);
      if (way === 0) return bytes.subarray(0, cut);
      return way === 1 ? Buffer.concat([bytes, Buffer.alloc(cut)]) : bytes;
    });
  fc.assert(
    fc.property(damaged, (bytes) => {
      try {
        const patch = decodePatch(bytes, level, 5, "patch");
        if (!patch) {
          expect(bytes[1]).not.toBe(1);
          return;
        }
        expect(patch.base.sealedBytes).toBeLessThanOrEqual(MAX_SEALED_BYTES);
        expect(patch.slots.size).toBeLessThanOrEqual(FAN_OUT);
        for (const content of patch.slots.values()) {
          expect(content?.at ?? 0).toBeLessThan(level === 0 ? UNIT_BLOCKS : 1);
          expect(content?.blob.sealedBytes ?? 0).toBeLessThanOrEqual(MAX_SEALED_BYTES);
        }
      } catch (error) {
        if (!(error instanceof DamagedObjectError)) throw error;
      }
    }),
    { numRuns: 1500 },
  );
});

test("a patch of a slot that it has already patched, or without a base, is refused", () => {
  const [leaf = Buffer.alloc(0)] = patches;
  // After the header and the table of three packs and three blobs: slot, blob, which block.
  const slotsAt = 18 + 3 * 48 + 3 * 14;
  const twice = Buffer.from(leaf);
  twice.writeUInt8(0, slotsAt + 4);
  expect(() => decodePatch(twice, 0, 5, "patch")).toThrow("a slot is patched twice");
  const empty = Buffer.alloc(18);
  empty.writeUInt8(1, 1);
  expect(() => decodePatch(empty, 0, 0, "patch")).toThrow("a patch names no base");
});
