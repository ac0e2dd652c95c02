import { expect, test } from "vitest";
import type { DiskStatus } from "./disk-status.ts";
import { baseOf, distrust } from "./validity.ts";

const now = { bootId: "boot", identity: "serial" };
const atBase: DiskStatus = {
  device: "8:0",
  events: "request",
  bootId: "boot",
  identity: "serial",
  generation: "0123456789abcdef0123456789abcdef",
  sequence: 4,
  attachedBytes: 2 ** 30,
  attachedDiskSequence: 7,
  bytes: 2 ** 30,
  diskSequence: 7,
  granuleBytes: 65536,
  granules: 2 ** 14,
  dirtyGranules: 0,
  passGranules: 0,
  unsavedGranules: 0,
  marked: 10,
  completed: 5,
  lost: 1,
  passthrough: 1,
  beyond: 1,
  seenBytes: 5000,
  unseenBytes: 100,
  skipped: { issue: 1, complete: 1, queue: 0, end: 0 },
};
const base = baseOf(atBase);
/** The next pass, after the commit, with marks. */
const next: DiskStatus = { ...atBase, sequence: 5, marked: 90, completed: 45, seenBytes: 9000 };

test("a pass is trusted if nothing happened since the base but writes", () => {
  expect(distrust(base, next, now)).toBeUndefined();
});

test("a pass is trusted if the commit before did not reach the tracker, which then returns more", () => {
  expect(distrust(base, { ...next, sequence: 4 }, now)).toBeUndefined();
});

test("a disk is scanned if the last recovery point has no base", () => {
  expect(distrust(undefined, next, now)).toContain("not tracked");
});

test.each<[string, Partial<DiskStatus>, Partial<typeof now>?]>([
  ["restarted", {}, { bootId: "another boot" }],
  ["restarted", { bootId: "another boot" }],
  ["gone", { bytes: 0 }],
  ["another disk", { diskSequence: 8 }],
  ["another disk", { diskSequence: 8, attachedDiskSequence: 8 }],
  ["another disk", { identity: "another serial" }],
  ["another disk", {}, { identity: "another serial" }],
  ["size changed", { bytes: 2 ** 31 }],
  ["size changed", { bytes: 2 ** 31, attachedBytes: 2 ** 31 }],
  ["not tracked for a time", { generation: "f".repeat(32) }],
  ["another recovery point", { sequence: 6 }],
  ["another recovery point", { sequence: 3 }],
  ["lost events", { lost: 2 }],
  ["past the block layer", { passthrough: 2 }],
  ["beyond the size", { beyond: 2 }],
  ["did not see", { unseenBytes: 101 }],
  ["skipped", { skipped: { issue: 2, complete: 2, queue: 0, end: 0 } }],
  ["skipped", { skipped: { issue: 1, complete: 1, queue: 1, end: 1 } }],
])("a disk is scanned, and the reason says: %s", (reason, change, changedNow = {}) => {
  expect(distrust(base, { ...next, ...change }, { ...now, ...changedNow })).toContain(reason);
});

test("a skip of one of the two programs that mark a write does no harm", () => {
  const skipped = { ...next.skipped, complete: 9 };
  expect(distrust(base, { ...next, skipped }, now)).toBeUndefined();
});
