import { expect, test } from "vitest";
import { liveCopyOf, remarkOn } from "./live-copy.ts";

const root = { name: "partition 2", type: "ext4", state: "frozen" } as const;
const efi = { name: "partition 1", type: "vfat", state: "unsupported" } as const;
const swap = { name: "swap", type: "swap", state: "left-out" } as const;

test("a disk whose file systems were all frozen is file-system consistent, whatever its swap space", () => {
  const copy = liveCopyOf({ volumes: [root, swap], isPrepared: false });
  expect(copy.consistency).toBe("file-system");
  expect(copy.volumes).toContainEqual({ name: "partition 2", consistency: "file-system" });
  expect(remarkOn({ volumes: [root], isPrepared: false })).toBeUndefined();
});

test("what was frozen after hooks had prepared the applications is application consistent, and nothing else", () => {
  expect(liveCopyOf({ volumes: [root, swap], isPrepared: true }).consistency).toBe("application");
  expect(liveCopyOf({ volumes: [root, efi], isPrepared: true })).toMatchObject({
    consistency: "crash",
    volumes: [
      { name: "partition 2", consistency: "application" },
      { name: "partition 1", consistency: "crash" },
    ],
  });
});

test("a volume that cannot be frozen is as after a power failure, and the remark says which", () => {
  const volumes = [root, efi];
  expect(liveCopyOf({ volumes, isPrepared: false })).toMatchObject({
    consistency: "crash",
    volumes: [
      { name: "partition 2", consistency: "file-system" },
      { name: "partition 1", consistency: "crash" },
    ],
  });
  expect(remarkOn({ volumes, isPrepared: false })).toBe("partition 1 (vfat) cannot be frozen");
});

test("a read-only volume that cannot be frozen does not make its disk less consistent", () => {
  const snap = { name: "disk", type: "squashfs", state: "read-only" } as const;
  const settlement = { volumes: [root, snap], isPrepared: false };
  expect(liveCopyOf(settlement)).toMatchObject({
    consistency: "file-system",
    volumes: [
      { name: "partition 2", consistency: "file-system" },
      { name: "disk", consistency: "file-system" },
    ],
  });
  expect(remarkOn(settlement)).toBeUndefined();
});

test("a volume of which other disks have a part is as after a power failure, although it was frozen", () => {
  const volumes = [root, { name: "vg-data", type: "xfs", state: "in-part" } as const];
  expect(liveCopyOf({ volumes, isPrepared: true })).toMatchObject({
    consistency: "crash",
    volumes: [{ consistency: "application" }, { name: "vg-data", consistency: "crash" }],
  });
  expect(remarkOn({ volumes, isPrepared: true })).toBe(
    "vg-data (xfs) is on further disks that this recovery point lacks",
  );
});

test("a disk without any mounted volume is as after a power failure", () => {
  expect(liveCopyOf({ volumes: [], isPrepared: true }).consistency).toBe("crash");
});

test("a copy that was not brought to one instant is not consistent, and says why", () => {
  const failure = "more changed than can be read";
  expect(liveCopyOf({ failure })).toMatchObject({ consistency: "not", wholeCopies: [{ reason: failure }] });
  expect(remarkOn({ failure })).toBe(failure);
});
