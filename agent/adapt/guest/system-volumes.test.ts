import { expect, test } from "vitest";
import { type AttachedVolume, volumeNamed } from "./system-volumes.ts";

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
