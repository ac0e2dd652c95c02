import { expect, test } from "vitest";
import { aDisk } from "#shared/domain/testing/records.ts";
import { isNews, type SeenMachine } from "./news.ts";

type State = NonNullable<SeenMachine["fencedUnits"]>[number]["state"];
const machine = (state?: State, disks = [aDisk("vda")]): SeenMachine => ({
  disks,
  ...(state && { fencedUnits: [{ name: "db.service", state }] }),
});

test("other disks are news, and so is everything as long as nothing was reported", () => {
  expect(isNews(machine(), undefined)).toBe(true);
  expect(isNews(machine(), machine())).toBe(false);
  expect(isNews(machine(undefined, [aDisk("vdb")]), machine())).toBe(true);
});

test.each<[State | undefined, State | undefined, boolean]>([
  ["running", "running", false],
  ["running", "not-found", true],
  ["not-found", "stopped", true],
  ["not-found", "running", true],
  ["stopped", "running", true],
  // In an outage all of them stop, and nothing is to be looked at then.
  ["running", "stopped", false],
  [undefined, "running", true],
  ["running", undefined, false],
])("of a service that was reported as %s, %s is news: %s", (before, now, expected) => {
  expect(isNews(machine(now), machine(before))).toBe(expected);
});
