import { expect, test } from "vitest";
import { remarkOnSnapshots, type SnapshotCopy, snapshotCopyOf, type ViewedVolume } from "./snapshot-copy.ts";

const root: ViewedVolume = { name: "vg0/root", kind: "snapshot", instant: 1 };
const swap: ViewedVolume = { name: "vg0/swap", kind: "swap", instant: 1 };
const boot: ViewedVolume = { name: "partition 2", kind: "partition", instant: 1 };
const copy = (volumes: ViewedVolume[], more: Partial<SnapshotCopy> = {}): SnapshotCopy => ({
  ...{ volumes, isOneInstant: true, isPrepared: false, changed: [], wholeCopies: [], ...more },
});

test("a disk whose file systems LVM froze at one instant is whole, and swap space does not count", () => {
  expect(snapshotCopyOf(copy([root, swap]))).toMatchObject({
    consistency: "file-system",
    volumes: [
      { name: "vg0/root", consistency: "file-system" },
      { name: "vg0/swap", consistency: "crash" },
    ],
  });
  expect(remarkOnSnapshots(copy([root, swap]))).toBeUndefined();
  expect(snapshotCopyOf(copy([root], { isPrepared: true })).consistency).toBe("application");
});

test("what no freeze reaches is as after a power failure, and is named", () => {
  const raw: ViewedVolume = { name: "vg0/db", kind: "raw-snapshot", instant: 1 };
  expect(snapshotCopyOf(copy([root, boot, raw], { isPrepared: true }))).toMatchObject({
    consistency: "crash",
    volumes: [{ consistency: "application" }, { consistency: "crash" }, { consistency: "crash" }],
  });
  expect(remarkOnSnapshots(copy([root, boot, raw]))).toBe(
    "partition 2 is outside of LVM; vg0/db was not frozen",
  );
});

test("a volume of which other disks have a part is as after a power failure, although it was frozen", () => {
  const data: ViewedVolume = { name: "vg0/data", kind: "part-snapshot", instant: 1 };
  expect(snapshotCopyOf(copy([root, data], { isPrepared: true }))).toMatchObject({
    consistency: "crash",
    volumes: [{ consistency: "application" }, { consistency: "crash" }],
  });
  expect(remarkOnSnapshots(copy([root, data]))).toBe(
    "vg0/data is on further disks that this recovery point lacks",
  );
});

test("volumes of several instants make no consistent disk, and the point says which share one", () => {
  const home: ViewedVolume = { name: "vg0/home", kind: "snapshot", instant: 2 };
  const several = { isOneInstant: false };
  expect(snapshotCopyOf(copy([root, home], several))).toMatchObject({
    consistency: "not",
    volumes: [
      { consistency: "file-system", instant: 1 },
      { consistency: "file-system", instant: 2 },
    ],
  });
  expect(remarkOnSnapshots(copy([root, home], several))).toBe("of another instant: vg0/home");
  // Another disk of the same point, whose volumes share one.
  expect(snapshotCopyOf(copy([root], several))).toMatchObject({
    consistency: "file-system",
    volumes: [{ instant: 1 }],
  });
  expect(snapshotCopyOf(copy([root])).volumes[0]).not.toHaveProperty("instant");
});

test("a partition that changed while it was read makes no consistent disk", () => {
  const changed = ["partition 2 was written to while it was read"];
  expect(snapshotCopyOf(copy([root, boot], { changed })).consistency).toBe("not");
  expect(remarkOnSnapshots(copy([root], { changed }))).toBe(changed[0]);
});
