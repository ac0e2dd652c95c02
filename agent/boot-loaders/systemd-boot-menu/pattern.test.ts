import fc from "fast-check";
import { expect, test } from "vitest";
import { fitsPattern } from "./pattern.ts";

test.each([
  ["debian.conf", "debian.conf", true],
  ["debian", "debian.conf", false],
  ["*", "", true],
  ["*.conf", "debian.conf", true],
  ["*.conf", "debian.conf.old", false],
  ["d*n*f", "debian.conf", true],
  ["?ebian.conf", "debian.conf", true],
  ["?", "", false],
  ["[a-f]ebian.conf", "debian.conf", true],
  ["[!d]ebian.conf", "debian.conf", true],
  ["[!x]ebian.conf", "debian.conf", false],
  ["[]d]ebian.conf", "debian.conf", true],
  ["[d-]ebian.conf", "-ebian.conf", true],
  ["[a-c-f]", "-", true],
  ["[a-c-f]", "e", false],
  ["[\\]d]ebian", "]ebian", true],
  ["[d", "d", false],
  ["\\*", "*", true],
  ["\\*", "a", false],
  ["d\\", "d", false],
])("%s and %s: %s", (pattern, name, fits) => {
  expect(fitsPattern(pattern, name)).toBe(fits);
});

test("a name matches with any number of stars before, in and after it", () => {
  const name = fc.stringMatching(/^[a-z0-9.+-]{0,40}$/);
  fc.assert(
    fc.property(name, fc.nat(40), (text, at) => {
      expect(fitsPattern(`*${text.slice(0, at)}***${text.slice(at)}*`, text)).toBe(true);
    }),
  );
});

test("a pattern that is made to be slow is matched in time", () => {
  expect(fitsPattern(`${"*a".repeat(2000)}b`, "a".repeat(255))).toBe(false);
});
