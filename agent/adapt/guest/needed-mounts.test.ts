import { expect, test } from "vitest";
import { volumesInTable } from "../../boot-loaders/return/encrypted-volumes.ts";
import { neededMounts } from "./needed-mounts.ts";

test("what is on volumes of its own and may be read or changed is mounted, outer folders first", () => {
  const fstab = [
    "# /boot was on /dev/sda1",
    "UUID=aa / btrfs defaults,subvol=@rootfs 0 0",
    "UUID=ef /boot/efi vfat umask=0077 0 1",
    "/dev/sda1 /boot ext4 defaults 0 2",
    "UUID=aa /var btrfs compress=zstd,subvol=@var,noatime 0 0",
    "UUID=cc /home ext4 defaults 0 2",
    "UUID=dd none swap sw 0 0",
    "",
  ].join("\n");
  expect(neededMounts(fstab)).toEqual([
    { device: "UUID=aa", place: "/var", options: ["subvol=@var"] },
    { device: "/dev/sda1", place: "/boot", options: [] },
    { device: "UUID=ef", place: "/boot/efi", options: [] },
  ]);
});

test("what is in memory or on the network is not mounted", () => {
  const fstab = "tmpfs /var/tmp tmpfs nosuid 0 0\nnas:/var /var nfs _netdev 0 0\n";
  expect(neededMounts(fstab)).toEqual([]);
});

test("an encrypted volume has the name that its own table gives it", () => {
  const table =
    "# <target> <source>\nsda3_crypt UUID=aa none luks,discard\n\nswap /dev/sda5 /dev/urandom swap\n";
  expect(volumesInTable(table).map(({ name, device }) => ({ name, device }))).toEqual([
    { name: "sda3_crypt", device: "UUID=aa" },
    { name: "swap", device: "/dev/sda5" },
  ]);
});
