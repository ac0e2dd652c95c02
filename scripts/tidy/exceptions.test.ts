import { expect, test } from "vitest";
import { withinAllowances, withoutExceptions } from "./exceptions.ts";

const finding = (path: string, line: number) => ({ path, line, message: "is wrong" });
const twoInA = [finding("x/a.ts", 1), finding("x/a.ts", 2)];
const present = () => true;

test("a file may have as many findings as are known, and not one more", () => {
  expect(withinAllowances("rule", twoInA, { "x/a.ts": 2 }, present)).toEqual({
    failures: [],
    needed: { "x/a.ts": 2 },
  });
  expect(withinAllowances("rule", twoInA, { "x/a.ts": 1 }, present).failures).toEqual([
    "rule: x/a.ts:1 is wrong (2 in this file, of which 1 are known)",
    "rule: x/a.ts:2 is wrong (2 in this file, of which 1 are known)",
  ]);
  expect(withinAllowances("rule", twoInA, {}, present).failures).toHaveLength(2);
});

test("what is needed is never more than what was allowed, and a clean file needs nothing", () => {
  expect(withinAllowances("rule", twoInA, { "x/a.ts": 5 }, present).needed).toEqual({ "x/a.ts": 2 });
  expect(withinAllowances("rule", twoInA, { "x/a.ts": 1 }, present).needed).toEqual({ "x/a.ts": 1 });
  expect(withinAllowances("rule", [], { "x/a.ts": 5 }, present).needed).toEqual({});
});

test("a file that was moved keeps what it was allowed", () => {
  const gone = (path: string) => path !== "old/a.ts";
  const { failures, needed } = withinAllowances("rule", twoInA, { "old/a.ts": 2 }, gone);
  expect(failures).toEqual([]);
  expect(needed).toEqual({ "x/a.ts": 2 });
  // The old file is still there: this is another one.
  expect(withinAllowances("rule", twoInA, { "old/a.ts": 2 }, present).failures).toHaveLength(2);
});

test("an exception hides its finding, and fails itself once it hides nothing", () => {
  const found = [{ path: "x/a.ts", key: "Disk", message: "defines Disk" }];
  expect(withoutExceptions("rule", found, { Disk: "two shapes of one thing" })).toEqual([]);
  expect(withoutExceptions("rule", found, {})).toEqual(["rule: x/a.ts defines Disk"]);
  expect(withoutExceptions("rule", [], { Disk: "two shapes of one thing" })).toEqual([
    'rule: the exception "Disk" is no longer needed; remove it from exceptions.json',
  ]);
});
