import { expect, test } from "vitest";
import { chooseViews, type ViewFacts } from "./choose-view.ts";

const disk = (name: string, facts: Partial<ViewFacts> = {}): ViewFacts => ({
  name,
  isStill: false,
  ...facts,
});
const untracked = { preCopyObstacle: "the kernel does not load the program" };
const noLvm = { snapshotObstacle: "it has no LVM" };
const kindsOf = (...disks: ViewFacts[]) => chooseViews(disks).map(({ kind }) => kind);

test("pre-copy is preferred, and a disk that nothing writes to is read as it is", () => {
  expect(kindsOf(disk("sda"), disk("sdb", { isStill: true, ...untracked }))).toEqual(["pre-copy", "still"]);
});

test("where writes cannot be followed, snapshots are the next best, and the reason says why", () => {
  expect(chooseViews([disk("sda", untracked)])).toEqual([
    { name: "sda", kind: "lvm-snapshot", reason: "it is in use, and the kernel does not load the program" },
  ]);
});

test("if pre-copy cannot read every disk but snapshots can, all are read through snapshots, to have one instant", () => {
  expect(kindsOf(disk("sda"), disk("sdb", untracked))).toEqual(["lvm-snapshot", "lvm-snapshot"]);
});

test("disks in use are never read partly by pre-copy and partly through snapshots", () => {
  expect(kindsOf(disk("sda", noLvm), disk("sdb", untracked))).toEqual(["pre-copy", "inconsistent"]);
});

test("a disk without either has no consistent view, and the reason has both", () => {
  const [choice] = chooseViews([disk("sda", { ...untracked, ...noLvm }), disk("sdb", untracked)]);
  expect(choice).toMatchObject({
    kind: "inconsistent",
    reason: "it is in use; the kernel does not load the program; it has no LVM",
  });
  expect(kindsOf(disk("sda", { ...untracked, ...noLvm }), disk("sdb", untracked))).toEqual([
    "inconsistent",
    "lvm-snapshot",
  ]);
});
