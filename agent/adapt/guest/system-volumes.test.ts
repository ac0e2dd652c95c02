import { expect, test } from "vitest";
import { type AttachedVolume, secondNamed, volumeNamed } from "./system-volumes.ts";

const DISKS = [{ name: "sda" }, { name: "sdb" }];
const VOLUMES: AttachedVolume[] = [
  { device: "sdb2", disk: "sda", partition: 2, type: "linux_raid_member", uuid: "array" },
  { device: "sdc2", disk: "sdb", partition: 2, type: "linux_raid_member", uuid: "array" },
  { device: "md127", type: "ext4", uuid: "root", paths: ["/dev/md/0", "/dev/md0"] },
  { device: "sdb3", disk: "sda", partition: 3, type: "crypto_LUKS", uuid: "outer" },
  { device: "dm-0", type: "xfs", uuid: "inner", unlockedFrom: "outer", paths: ["/dev/mapper/sda3_crypt"] },
  { device: "dm-1", logical: { group: "vg-0", volume: "root" }, type: "ext4", uuid: "volume" },
];

test.each([
  ["UUID=root", "md127"],
  ["/dev/md0", "md127"],
  ["/dev/md/0", "md127"],
  ["/dev/mapper/sda3_crypt", "dm-0"],
  ["/dev/mapper/vg--0-root", "dm-1"],
  ["/dev/vg-0/root", "dm-1"],
  ["/dev/sda3", "sdb3"],
  ["/dev/md1", undefined],
])("%s is the volume that the system means, whatever the guest calls it", (name, device) => {
  expect(volumeNamed(name, VOLUMES, DISKS)?.device).toBe(device);
});

// https://github.com/digint/btrbk/issues/205, https://github.com/storaged-project/blivet-gui/issues/244
test("a name that a copy of a volume has, too, is noticed; the parts of one btrfs are no copies", () => {
  const copies = VOLUMES.filter(({ uuid }) => uuid === "volume").map((one) => ({
    ...one,
    device: "sdd1",
    logical: undefined,
  }));
  const pool = ["a", "b"].map((memberUuid) => ({
    device: memberUuid,
    type: "btrfs",
    uuid: "pool",
    memberUuid,
  }));
  const all = [...VOLUMES, ...copies, ...pool];
  expect(secondNamed("UUID=volume", all, DISKS)?.device).toBe("sdd1");
  for (const name of ["UUID=root", "UUID=pool", "/dev/vg-0/root", "UUID=none"])
    expect(secondNamed(name, all, DISKS)).toBeUndefined();
  const copied = [...pool, { ...pool[0], device: "c" } as AttachedVolume];
  expect(secondNamed("UUID=pool", copied, DISKS)?.device).toBe("c");
});
