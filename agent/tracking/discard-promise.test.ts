import { expect, test } from "vitest";
import { mayReadDiscardedDifferently } from "./discard-promise.ts";

/** The page of a disk with these words in its IDENTIFY data. */
function pageWith(words: Readonly<Record<number, number>>): Buffer {
  const page = Buffer.alloc(572);
  page.set([0, 0x89, 0x02, 0x38]);
  for (const [word, value] of Object.entries(words)) page.writeUInt16LE(value, 60 + 2 * Number(word));
  return page;
}

test.each<[string, Buffer | undefined, boolean]>([
  ["with TRIM that promises nothing", pageWith({ 169: 1 }), true],
  ["with TRIM that promises the same bytes", pageWith({ 169: 1, 69: 1 << 14 }), false],
  ["with TRIM that promises zeros", pageWith({ 169: 1, 69: (1 << 14) | (1 << 5) }), false],
  ["without TRIM", pageWith({}), false],
  ["that is not ATA", undefined, false],
  ["with a page that is cut", pageWith({ 169: 1 }).subarray(0, 400), false],
])("a disk %s may read a discarded block differently each time: %#", (_, page, expected) => {
  expect(mayReadDiscardedDifferently(page)).toBe(expected);
});
