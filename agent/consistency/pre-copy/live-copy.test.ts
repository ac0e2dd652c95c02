import { expect, test } from "vitest";
import { liveCopyOf, remarkOn } from "./live-copy.ts";

const root = { name: "partition 2", type: "ext4", state: "frozen" } as const;
const efi = { name: "partition 1", type: "vfat", state: "unsupported" } as const;
const swap = { name: "swap", type: "swap", state: "left-out" } as const;

test("a disk whose file systems were all frozen is file-system consistent, whatever its swap space", () => {
  const copy = liveCopyOf({ volumes: [root, swap] });
  expect(copy.consistency).toBe("file-system");
  expect(copy.volumes).toContainEqual({ name: "partition 2", consistency: "file-system" });
  expect(remarkOn({ volumes: [root] })).toBeUndefined();
});

test("a volume that cannot be frozen is as after a power failure, and the remark says which", () => {
  const volumes = [root, efi];
  expect(liveCopyOf({ volumes })).toMatchObject({
    consistency: "crash",
    volumes: [
      { name: "partition 2", consistency: "file-system" },
      { name: "partition 1", consistency: "crash" },
    ],
  });
  expect(remarkOn({ volumes })).toBe("partition 1 (vfat) cannot be frozen");
});

test("a disk without any mounted volume is as after a power failure", () => {
  expect(liveCopyOf({ volumes: [] }).consistency).toBe("crash");
});

test("a copy that was not brought to one instant is not consistent, and says why", () => {
  const failure = "more changed than can be read";
  expect(liveCopyOf({ failure })).toMatchObject({ consistency: "not", wholeCopies: [{ reason: failure }] });
  expect(remarkOn({ failure })).toBe(failure);
});
