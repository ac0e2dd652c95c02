import { expect, test } from "vitest";
import { withoutExceptions } from "./exceptions.ts";

test("an exception hides its finding, and fails itself once it hides nothing", () => {
  const found = [{ path: "x/a.ts", key: "Disk", message: "defines Disk" }];
  expect(withoutExceptions("rule", found, { Disk: "two shapes of one thing" })).toEqual([]);
  expect(withoutExceptions("rule", found, {})).toEqual(["rule: x/a.ts defines Disk"]);
  expect(withoutExceptions("rule", [], { Disk: "two shapes of one thing" })).toEqual([
    'rule: the exception "Disk" is no longer needed; remove it from exceptions.json',
  ]);
});
