/** A Debian disk that starts only on the hardware it is made for. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mounted } from "#agent/filesystems/testing/test-image.ts";
import { runContained } from "../machines/disk/command.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import type { DebianDisk } from "../machines/disk/debian-disk.ts";

/** The port by which its network is configured, as a physical machine would have named it. */
export const BOUND_PORT = { name: "eno1", address: "00:26:9e:b5:e1:a4", network: "192.0.2.77/24" };

const FILES: Readonly<Record<string, string>> = {
  // Only the drivers of the old controller.
  "etc/initramfs-tools/conf.d/driver-policy": "MODULES=list\n",
  "etc/initramfs-tools/modules": "ext4\nahci\nsd_mod\n",
  "etc/network/interfaces": [
    "auto lo\niface lo inet loopback\n",
    `auto ${BOUND_PORT.name}\niface ${BOUND_PORT.name} inet static\n\taddress ${BOUND_PORT.network}\n`,
  ].join("\n"),
  "etc/systemd/system/corosync.service": service("CLUSTER"),
  "etc/systemd/system/zz-report.service": `${service("REPORT $(ip -o -4 address show scope global)")}`,
};

/** Shows a line on the serial console at each start. */
function service(line: string): string {
  return [
    "[Unit]\nAfter=networking.service",
    `[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo "${line}" > /dev/ttyS0'`,
    "[Install]\nWantedBy=multi-user.target\n",
  ].join("\n");
}

/**
 * Copies a Debian disk with one ext4 root, and binds the copy to its hardware: an initramfs with no driver
 * but SATA's, disks by the kernel's names, a network by the name of a port, a console on the second serial
 * port. Needs root and a loop device.
 */
export async function bindToHardware(disk: DebianDisk, path: string): Promise<void> {
  await copyDisk(disk.path, path);
  await mounted(path, `offset=${disk.rootOffsetBytes}`, async (root) => {
    for (const [name, text] of Object.entries(FILES)) await writeFile(join(root, name), text);
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
    await runContained("chroot", [root, "systemctl", "enable", "corosync", "zz-report"]);
    await runContained("chroot", [root, "update-initramfs", "-u", "-k", "all"]);
  });
}
