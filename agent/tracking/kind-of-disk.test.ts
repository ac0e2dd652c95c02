import { expect, test } from "vitest";
import { type DiskFacts, kindOfDisk } from "./kind-of-disk.ts";

const facts: DiskFacts = {
  kernelName: "sda",
  isPartition: false,
  hasRequests: true,
  nvmePaths: [],
  isPathOfMultipath: false,
  isZoned: false,
};

test("a disk with requests is tracked by the events of its requests", () => {
  expect(kindOfDisk(facts)).toEqual({ events: "request" });
});

test("an NVMe disk with hidden paths is tracked by their requests", () => {
  const nvme = { ...facts, kernelName: "nvme0n1", hasRequests: false, nvmePaths: ["nvme0c0n1"] };
  expect(kindOfDisk(nvme)).toEqual({ events: "nvme-paths" });
});

test("a disk without requests is tracked only if its kind was tried", () => {
  expect(kindOfDisk({ ...facts, kernelName: "zram0", hasRequests: false })).toEqual({ events: "bio" });
  for (const kernelName of ["dm-0", "md127", "pmem0", "bcache0", "drbd1", "nvme0n1"])
    expect(kindOfDisk({ ...facts, kernelName, hasRequests: false })).toEqual({
      untracked: expect.stringContaining(kernelName),
    });
});

test("a path of a multipath disk is not tracked, because a write may take another path", () => {
  expect(kindOfDisk({ ...facts, isPathOfMultipath: true })).toEqual({
    untracked: expect.stringContaining("several paths"),
  });
});

test("partitions and zoned disks are not tracked", () => {
  expect(kindOfDisk({ ...facts, isPartition: true })).toHaveProperty("untracked");
  expect(kindOfDisk({ ...facts, isZoned: true })).toHaveProperty("untracked");
});
