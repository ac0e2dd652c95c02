/** A Debian disk that starts only on the hardware it is made for. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mounted } from "#agent/filesystems/testing/test-image.ts";
import { BOUND_UNITS, boundFiles } from "../machines/bound-system.ts";
import { runContained } from "../machines/disk/command.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import type { DebianDisk } from "../machines/disk/debian-disk.ts";

/**
 * Copies a Debian disk with one ext4 root, and binds the copy to its hardware: an initramfs with no driver
 * but SATA's, disks by the kernel's names, a network by the name of a port, a console on the second serial
 * port. Needs root and a loop device.
 */
export async function bindToHardware(disk: DebianDisk, path: string): Promise<void> {
  await copyDisk(disk.path, path);
  await mounted(path, `offset=${disk.rootOffsetBytes}`, async (root) => {
    for (const [name, text] of Object.entries(boundFiles("ifupdown", ["ext4"])))
      await writeFile(join(root, name), text);
    for (const file of ["etc/fstab", "boot/grub/grub.cfg", "etc/default/grub"]) {
      const text = await readFile(join(root, file), "utf8");
      await writeFile(
        join(root, file),
        text
          .replace(/^UUID=\S+ \/ /m, "/dev/sda2 / ")
          .replaceAll(/root=UUID=\S+/g, "root=/dev/sda2")
          .replaceAll(/ net\.ifnames=0/g, "")
          .replaceAll("console=ttyS0,115200", "console=ttyS1,57600"),
      );
    }
    await runContained("chroot", [root, "systemctl", "enable", ...BOUND_UNITS]);
    await runContained("chroot", [root, "update-initramfs", "-u", "-k", "all"]);
  });
}
