import fc from "fast-check";
import { expect, test } from "vitest";
import { compareVersions } from "./version-order.ts";

/** As the specification lists them, from old to new, and some more. */
const FROM_OLD_TO_NEW = [
  [
    "122.1",
    "123~rc1-1",
    "123",
    "123-a",
    "123-a.1",
    "123-1",
    "123-1.1",
    "123^post1",
    "123.a-1",
    "123.1-1",
    "123a-1",
    "124-1",
  ],
  ["_-causeway-cv-1.conf", "a.conf", "debian.conf", "0-debian.conf", "0a1b.conf", "10.conf"],
  ["", "0"],
  ["~", ""],
];

test.each(FROM_OLD_TO_NEW)("each version is newer than the one before it", (...versions) => {
  for (const [index, older] of versions.entries()) {
    for (const newer of versions.slice(index + 1)) {
      expect([older, newer, compareVersions(older, newer)]).toEqual([older, newer, -1]);
      expect(compareVersions(newer, older)).toBe(1);
    }
  }
});

test.each([
  ["00123", "123"],
  ["123_a", "123a"],
  ["", "_"],
])("%s and %s count as the same version", (a, b) => {
  expect(compareVersions(a, b)).toBe(0);
});

test("any three versions have one order, and comparing them ends", () => {
  const version = fc.stringMatching(/^[0-2ab~^._ -]{0,8}$/);
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      expect(compareVersions(a, b) + compareVersions(b, a)).toBe(0);
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }
    }),
  );
});
