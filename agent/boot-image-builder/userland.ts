import { FILE_SYSTEM_PARTS } from "../filesystems/file-systems.ts";

/** Programs of the image by their package; the libraries follow from what they are linked with. */
export const PROGRAMS: readonly string[] = [
  // busybox: the shell and everything small. If a full program is listed below, that one is used.
  "/bin/busybox",
  // kmod: the kernel itself calls /sbin/modprobe, and busybox's ignores soft dependencies.
  "/bin/kmod",
  "/sbin/lvm",
  "/sbin/dmsetup",
  "/sbin/mdadm",
  "/sbin/mdmon",
  "/sbin/cryptsetup",
  ...FILE_SYSTEM_PARTS.programs,
  "/sbin/blkid",
  "/sbin/blockdev",
  "/sbin/losetup",
  "/sbin/sfdisk",
  "/sbin/fsfreeze",
  "/sbin/mkswap",
  "/usr/bin/partx",
  "/bin/findmnt",
  "/bin/lsblk",
  "/bin/mount",
  "/bin/umount",
  "/bin/efibootmgr",
  "/bin/ip",
];

/** Names under which a program behaves differently. */
export const PROGRAM_LINKS: Readonly<Record<string, string>> = {
  "usr/sbin/modprobe": "../bin/kmod",
  "usr/sbin/insmod": "../bin/kmod",
  "usr/sbin/rmmod": "../bin/kmod",
  "usr/sbin/depmod": "../bin/kmod",
  "usr/sbin/modinfo": "../bin/kmod",
  "usr/bin/lsmod": "kmod",
  "usr/sbin/pvs": "lvm",
  "usr/sbin/vgs": "lvm",
  "usr/sbin/lvs": "lvm",
  "usr/sbin/pvscan": "lvm",
  "usr/sbin/vgscan": "lvm",
  "usr/sbin/vgchange": "lvm",
  "usr/sbin/lvchange": "lvm",
  "usr/sbin/lvcreate": "lvm",
  "usr/sbin/lvremove": "lvm",
  "usr/sbin/vgimportclone": "lvm",
  ...FILE_SYSTEM_PARTS.links,
};

/** One layout for all, as on a current Debian; programs look for their loader in `lib64`. */
export const ROOT_LINKS: Readonly<Record<string, string>> = {
  bin: "usr/bin",
  sbin: "usr/sbin",
  lib: "usr/lib",
  lib64: "usr/lib64",
  "etc/mtab": "../proc/self/mounts",
};

export const EMPTY_FOLDERS: readonly string[] = [
  "dev",
  "mnt",
  "proc",
  "run",
  "sys",
  "tmp",
  "var",
  "root",
  "causeway",
];

/** Small files of the image. */
export const CONFIGURATION: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  "etc/group": "root:x:0:\n",
  "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
  "etc/hostname": "causeway\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  // There is no udev: LVM creates its own device nodes. Nothing is activated unless the agent requests it.
  "etc/lvm/lvm.conf": [
    "devices { obtain_device_list_from_udev = 0 use_devicesfile = 0 }",
    "activation { udev_sync = 0 udev_rules = 0 monitoring = 0 auto_activation_volume_list = [] }",
    "global { event_activation = 0 locking_type = 1 use_lvmpolld = 0 }",
    "backup { backup = 0 archive = 0 }",
    "",
  ].join("\n"),
  // Arrays are assembled only when the agent requests it.
  "etc/mdadm/mdadm.conf": "AUTO -all\n",
  "etc/modprobe.d/causeway.conf": [
    "# Once opened, a watchdog that is not reset restarts the machine, even if the program that opened it has ended.",
    "options softdog soft_margin=60 nowayout=1",
    "# Arrays appear when the agent requests them, bonds and queues when the network plan does.",
    "options bonding max_bonds=0",
    "options md_mod start_ro=1",
    "",
  ].join("\n"),
};
