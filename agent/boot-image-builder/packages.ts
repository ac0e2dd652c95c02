import { FILE_SYSTEM_PARTS } from "../filesystems/file-systems.ts";

/** The Debian release that boot images are built from. */
export const SUITE = "bookworm";

/** A kernel for physical machines; the `cloud` flavour lacks e1000, AHCI and most of what servers have. */
export const KERNEL_PACKAGE = "linux-image-amd64";

/**
 * The packages whose files the image contains. That includes libraries: nothing comes from the build machine.
 */
export const IMAGE_PACKAGES: readonly string[] = [
  "busybox-static",
  "kmod",
  "lvm2",
  "dmsetup",
  "mdadm",
  "cryptsetup-bin",
  ...FILE_SYSTEM_PARTS.packages,
  "util-linux",
  "mount",
  "fdisk",
  "efibootmgr",
  "iproute2",
  "libc6",
  "libstdc++6",
  "libgcc-s1",
  "libaio1",
  "libargon2-1",
  "libblkid1",
  "libbpf1",
  "libbsd0",
  "libcap2",
  "libcap-ng0",
  "libcom-err2",
  "libcryptsetup12",
  "libdb5.3",
  "libdevmapper1.02.1",
  "libdevmapper-event1.02.1",
  "libedit2",
  "libefiboot1",
  "libefivar1",
  "libelf1",
  "libfdisk1",
  "libgcrypt20",
  "libgpg-error0",
  "libjson-c5",
  "liblvm2cmd2.03",
  "liblz4-1",
  "liblzma5",
  "libmd0",
  "libmnl0",
  "libmount1",
  "libncursesw6",
  "libpcre2-8-0",
  "libpopt0",
  "libreadline8",
  "libselinux1",
  "libsmartcols1",
  "libssl3",
  "libsystemd0",
  "libtinfo6",
  "libtirpc3",
  "libudev1",
  "liburcu8",
  "libuuid1",
  "libxtables12",
  "libzstd1",
  "zlib1g",
];

/**
 * Packages that turn the image into bootable files, as data or as tools; they run from where they were
 * unpacked.
 */
export const FORM_PACKAGES: readonly string[] = [
  "systemd-boot-efi",
  "ipxe",
  "grub-common",
  "grub-pc-bin",
  "grub-efi-amd64-bin",
  "xorriso",
  "libisoburn1",
  "libburn4",
  "libisofs6",
  "libjte2",
  "libacl1",
  "libbz2-1.0",
  "mtools",
  "binutils-x86-64-linux-gnu",
  "libbinutils",
  "libctf0",
  "libjansson4",
];
