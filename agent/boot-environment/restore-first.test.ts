import { expect, test } from "vitest";
import type { Disk } from "#shared/protocol/inventory.ts";
import { deviceOf } from "./restore-first.ts";

const UUID = "0d6d4c5e-2b1a-4e57-9f3c-6d2b7f0a1c11";

function aDisk(path: string, ...uuids: string[]): Disk {
  const partitions = uuids.map((uuid, index) => ({ path: `${path}${index + 1}`, content: { uuid } }));
  return { path, partitions } as unknown as Disk;
}

test("a file system is found on a partition, or on a whole disk", () => {
  const onDisk = { path: "/dev/sdb", content: { uuid: UUID }, partitions: [] } as unknown as Disk;
  expect(deviceOf(UUID, [aDisk("/dev/sda", "other"), onDisk], [])).toEqual({
    disk: "/dev/sdb",
    partition: "/dev/sdb",
  });
  expect(deviceOf(UUID, [aDisk("/dev/sda", "other", UUID)], [])).toEqual({
    disk: "/dev/sda",
    partition: "/dev/sda2",
  });
});

test("a file system that is not there is an error that names it", () => {
  expect(() => deviceOf(UUID, [aDisk("/dev/sda", "other")], ["/dev/sda"])).toThrow(
    expect.objectContaining({ name: "VolumeNotMountedError", details: { volume: UUID, path: "/" } }),
  );
});

test("of several copies the one on the job's disk is chosen, and none if they cannot be told apart", () => {
  const disks = [aDisk("/dev/sda", UUID), aDisk("/dev/sdb", UUID)];
  expect(deviceOf(UUID, disks, ["/dev/sdb"])).toEqual({ disk: "/dev/sdb", partition: "/dev/sdb1" });
  for (const own of [[], ["/dev/sda", "/dev/sdb"]]) {
    expect(() => deviceOf(UUID, disks, own)).toThrow(
      expect.objectContaining({
        name: "VolumeAmbiguousError",
        details: { volume: UUID, devices: ["/dev/sda1", "/dev/sdb1"] },
      }),
    );
  }
});
