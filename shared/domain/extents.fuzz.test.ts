import fc from "fast-check";
import { expect, test } from "vitest";
import { type Extent, type Extents, intersect, normalize, subtract, totalBytes } from "./extents.ts";

const SIZE = 80;
const AnyExtents = fc.array(
  fc
    .record({ offset: fc.nat({ max: SIZE - 1 }), length: fc.nat({ max: 20 }) })
    .map(({ offset, length }): Extent => ({ offset, length: Math.min(length, SIZE - offset) })),
  { maxLength: 12 },
);
const AnySet = AnyExtents.map(normalize);

/** The obvious model: one flag for each byte. */
function bytesOf(extents: Extents): boolean[] {
  const flags = Array<boolean>(SIZE).fill(false);
  for (const { offset, length } of extents) flags.fill(true, offset, offset + length);
  return flags;
}

function expectSet(set: Extents, model: boolean[]): void {
  expect(bytesOf(set)).toEqual(model);
  expect(totalBytes(set)).toBe(model.filter(Boolean).length);
  set.forEach((extent, index) => {
    expect(extent.length).toBeGreaterThan(0);
    const next = set[index + 1];
    if (next) expect(next.offset).toBeGreaterThan(extent.offset + extent.length);
  });
}

test("normalize keeps exactly the bytes given", () => {
  fc.assert(fc.property(AnyExtents, (extents) => expectSet(normalize(extents), bytesOf(extents))));
});

test("intersect and subtract agree with byte-by-byte logic", () => {
  fc.assert(
    fc.property(AnySet, AnySet, (a, b) => {
      const [inA, inB] = [bytesOf(a), bytesOf(b)];
      expectSet(
        intersect(a, b),
        inA.map((flag, index) => flag && inB[index] === true),
      );
      expectSet(
        subtract(a, b),
        inA.map((flag, index) => flag && inB[index] !== true),
      );
    }),
  );
});
