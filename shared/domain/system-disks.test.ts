import { expect, test } from "vitest";
import type { Inventory } from "../protocol/inventory.ts";
import { systemDisks } from "./system-disks.ts";
import { aDisk, anInventory } from "./testing/records.ts";

const ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4";
const partition = (path: string, type: string, ...mountPoints: string[]) => ({
  ...{ number: 1, path, offsetBytes: 1048576, sizeBytes: 1048576, type, bootable: true },
  ...{ content: { type: "none" }, mountPoints },
});
const disks = (...all: [string, ReturnType<typeof partition>][]) =>
  all.map(([name, one]) => aDisk(name, { path: `/dev/${name}`, partitions: [one] }));
const uefi: Partial<Inventory> = {
  firmware: { kind: "uefi", secureBoot: "disabled" },
  bootLoader: { ...anInventory().bootLoader, espPath: "/boot/efi" },
};
const find = (inventory: Partial<Inventory>, chosen = ["sda", "sdb"]) =>
  systemDisks(anInventory(inventory), chosen);

test("with UEFI the disk with the mounted EFI system partition boots, not a data disk with an old one", () => {
  const all = disks(["sda", partition("/dev/sda1", ESP)], ["sdb", partition("/dev/sdb1", ESP, "/boot/efi")]);
  expect(find({ ...uefi, disks: all })).toEqual(["sdb"]);
});

test("an EFI system partition that is not mounted decides only if there is no other", () => {
  const one = disks(["sda", partition("/dev/sda1", ESP)], ["sdb", partition("/dev/sdb1", LINUX)]);
  expect(find({ ...uefi, disks: one })).toEqual(["sda"]);
  const two = disks(["sda", partition("/dev/sda1", ESP)], ["sdb", partition("/dev/sdb1", ESP)]);
  expect(find({ ...uefi, disks: two })).toEqual([]);
});

const bios: Partial<Inventory> = { firmware: { kind: "bios", secureBoot: "unsupported" } };

test("with a BIOS the disk with /boot boots, whatever disk has the root or an active partition", () => {
  const all = disks(
    ["sda", partition("/dev/sda1", LINUX, "/")],
    ["sdb", partition("/dev/sdb1", LINUX, "/boot")],
  );
  expect(find({ ...bios, disks: all })).toEqual(["sdb"]);
  expect(find({ ...bios, disks: all }, ["sda"])).toEqual(["sda"]);
});

test("a mount is followed through a volume group and a mirror to every disk below it", () => {
  const all = disks(["sda", partition("/dev/sda1", LINUX)], ["sdb", partition("/dev/sdb1", LINUX)]);
  const content = { type: "none" };
  const raidArrays = [
    {
      ...{ name: "md0", path: "/dev/md0", level: "raid1", sizeBytes: 1, state: "active", degraded: false },
      ...{ members: ["/dev/sda1", "/dev/sdb1"], content, mountPoints: [] },
    },
  ] as Inventory["raidArrays"];
  const root = { name: "root", path: "/dev/vg/root", sizeBytes: 1, layout: "linear", content };
  const volumeGroups = [
    {
      ...{ name: "vg", uuid: "u", sizeBytes: 1, freeBytes: 0, extentBytes: 1 },
      ...{ physicalVolumes: ["/dev/md0"], logicalVolumes: [{ ...root, mountPoints: ["/"] }] },
    },
  ] as Inventory["volumeGroups"];
  expect(find({ ...bios, disks: all, raidArrays, volumeGroups })).toEqual(["sda", "sdb"]);
});

test("where the mounts show nothing, no disk is named", () => {
  const all = disks(["sda", partition("/dev/sda1", LINUX)], ["sdb", partition("/dev/sdb1", LINUX, "/srv")]);
  expect(find({ ...bios, disks: all })).toEqual([]);
  expect(systemDisks(undefined, ["sda"])).toEqual([]);
});
