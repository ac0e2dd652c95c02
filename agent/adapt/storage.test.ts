import { expect, test } from "vitest";
import { adaptedFiles, aKernel, LUKS_UUID, ROOT_UUID, SWAP_UUID } from "./testing/a-system.ts";

const disk = { name: "sda", serial: "S3Z8NB0K123456", wwid: "naa.600508b1001c4d5e" };
const other = { name: "sdb", serial: "WD-WCC4N0ABCDEF", wwid: "naa.50014ee2b1c2d3e4" };

test.each([
  [
    "a kernel's name",
    "/dev/sda2 / ext4 errors=remount-ro 0 1",
    `UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1`,
  ],
  // https://github.com/lavabit/robox/issues/152
  [
    "tabs",
    "/dev/sda2           \t/         \text4      \trw,relatime\t0 1",
    `UUID=${ROOT_UUID}           \t/         \text4      \trw,relatime\t0 1`,
  ],
  ["swap", "/dev/sda3 none swap sw 0 0", `UUID=${SWAP_UUID} none swap sw 0 0`],
  // https://github.com/libguestfs/libguestfs/pull/300
  [
    "a place on the bus",
    "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part2 / xfs defaults 0 0",
    `UUID=${ROOT_UUID} / xfs defaults 0 0`,
  ],
  [
    "an identity of the hardware",
    "/dev/disk/by-id/ata-Samsung_SSD_860_S3Z8NB0K123456-part3 swap swap defaults 0 0",
    `UUID=${SWAP_UUID} swap swap defaults 0 0`,
  ],
  [
    "a world-wide name",
    "/dev/disk/by-id/wwn-0x600508b1001c4d5e-part1\t/boot/efi\tvfat\tdefaults 0 1",
    "UUID=C0DE-CA55\t/boot/efi\tvfat\tdefaults 0 1",
  ],
  [
    "a path through multipath",
    "/dev/mapper/mpatha-part2 / ext4 defaults 0 1",
    `UUID=${ROOT_UUID} / ext4 defaults 0 1`,
  ],
  [
    "no UUID, only that of its partition",
    "/dev/sda5 /opt/raw auto noauto 0 0",
    "PARTUUID=e4086903-5e38-4f57-beca-e06a05223493 /opt/raw auto noauto 0 0",
  ],
])("an entry of fstab by %s finds its disk on any hardware", (_, before, after) => {
  const file = (line: string) => `# <file system> <mount point>\n${line}\n`;
  const { files, notes } = adaptedFiles({ files: { "/etc/fstab": file(before) } });
  expect(files).toEqual({ "/etc/fstab": file(after) });
  expect(notes).toEqual([]);
});

test.each([
  "UUID=27108123-06bd-4347-a0c5-9ea2ba62a034  /  ext4  noatime 0 0",
  "LABEL=cloudimg-rootfs\t/\t ext4\tdefaults\t0 0",
  "PARTLABEL=root / ext4 defaults 0 1",
  // https://github.com/libguestfs/libguestfs/pull/187
  "/dev/disk/by-id/dm-uuid-LVM-4Mnz5mnL0r5kWzyuQUyK / ext4 defaults 0 1",
  "/dev/disk/by-uuid/7a4e / ext4 defaults 0 1",
  "/dev/mapper/rl-root / xfs defaults 0 0",
  "/dev/ubuntu-vg/ubuntu-lv / ext4 defaults 0 1",
  "/dev/md0 /srv ext4 defaults 0 2",
  "nas:/export/home /home nfs defaults,_netdev 0 0",
  "tmpfs /tmp tmpfs nosuid 0 0",
  "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0",
  "/swapfile none swap sw 0 0",
  "# /dev/sda2 was here",
])("this entry of fstab is right on any hardware: %s", (line) => {
  expect(adaptedFiles({ files: { "/etc/fstab": line } })).toMatchObject({ files: {}, notes: [] });
});

test.each([
  "/dev/sdz1 /mnt ext4 defaults 0 2",
  "/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part1 /mnt xfs defaults 0 0",
])("what cannot be known stays, with a note: %s", (line) => {
  const { files, notes } = adaptedFiles({ files: { "/etc/fstab": line }, disks: [disk, other] });
  expect(files).toEqual({});
  expect(notes).toEqual([expect.stringContaining("no disk of this copy is known by that name")]);
});

test.each([
  // The first disk that was captured is not the one that is named.
  ["/dev/disk/by-id/ata-WDC_WD10EZEX-08WN4A0_WD-WCC4N0ABCDEF-part1", [{ ...disk, isOnly: true as const }]],
  ["/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part1", [disk]],
  ["/dev/mapper/mpathb-part1", [disk]],
])("a disk that was not captured is not taken for the only one that was: %s", (name, disks) => {
  const { files, notes } = adaptedFiles({ files: { "/etc/fstab": `${name} /backup ext4 ro 0 2` }, disks });
  expect(files).toEqual({});
  expect(notes).toEqual([expect.stringContaining("no disk of this copy is known by that name")]);
});

test("with several disks, an identity of the hardware finds its own", () => {
  const volumes = [
    { disk: "sda", partition: 1, uuid: "aaaa" },
    { disk: "sdb", partition: 1, uuid: "bbbb" },
  ];
  const line = "/dev/disk/by-id/ata-WDC_WD10EZEX-08WN4A0_WD-WCC4N0ABCDEF-part1 /srv ext4 defaults 0 2";
  const { files } = adaptedFiles({ files: { "/etc/fstab": line }, disks: [disk, other], volumes });
  expect(files["/etc/fstab"]).toMatch(/^UUID=bbbb \/srv/);
});

test("a disk in a folder of /dev is found by the name that the inventory gives it", () => {
  const volumes = [{ disk: "cciss-c0d0", partition: 1, uuid: "cccc" }];
  const line = "/dev/cciss/c0d0p1 / ext4 defaults 0 1";
  const { files } = adaptedFiles({ files: { "/etc/fstab": line }, disks: [{ name: "cciss-c0d0" }], volumes });
  expect(files["/etc/fstab"]).toBe("UUID=cccc / ext4 defaults 0 1");
});

test("a UUID that two volumes have is not used as a name", () => {
  const volumes = [
    { disk: "sda", partition: 1, uuid: "same", partUuid: "one" },
    { disk: "sda", partition: 2, uuid: "same", partUuid: "two" },
  ];
  const { files } = adaptedFiles({ files: { "/etc/fstab": "/dev/sda2 / ext4 ro 0 1" }, volumes });
  expect(files["/etc/fstab"]).toBe("PARTUUID=two / ext4 ro 0 1");
});

test("crypttab names its volumes by what is on them, and the initramfs gets the new one", () => {
  const before =
    "sda4_crypt /dev/sda4 none luks,discard\nswap /dev/sda5 /dev/urandom swap,cipher=aes-xts-plain64\n";
  const { files, commands } = adaptedFiles({ files: { "/etc/crypttab": before } });
  expect(files["/etc/crypttab"]).toBe(
    `sda4_crypt UUID=${LUKS_UUID} none luks,discard\n` +
      "swap /dev/disk/by-partuuid/e4086903-5e38-4f57-beca-e06a05223493 /dev/urandom swap,cipher=aes-xts-plain64\n",
  );
  expect(commands).toEqual(["update-initramfs -u -k 6.1.0-18-amd64"]);
});

const CONSOLES = "console=tty0 console=ttyS0,115200";

test("GRUB's menu starts the kernel by stable names, with a serial console, and its source agrees", () => {
  const { files } = adaptedFiles({
    files: {
      "/boot/grub/grub.cfg": [
        "menuentry 'Debian GNU/Linux' {",
        "\tset root='hd0,gpt2'",
        "\tlinux\t/boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda2 ro quiet resume=/dev/sda3",
        "\tinitrd\t/boot/initrd.img-6.1.0-18-amd64",
        "}",
        "menuentry 'Memory test' {\n\tlinux16 /boot/memtest86+.bin\n}\n",
      ].join("\n"),
      "/etc/default/grub":
        'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/sda3"\nGRUB_CMDLINE_LINUX=""\nGRUB_DISABLE_LINUX_UUID=true\n',
    },
  });
  expect(files["/boot/grub/grub.cfg"]).toContain(
    `\tlinux\t/boot/vmlinuz-6.1.0-18-amd64 root=UUID=${ROOT_UUID} ro quiet resume=UUID=${SWAP_UUID} ${CONSOLES}\n`,
  );
  expect(files["/boot/grub/grub.cfg"]).toContain("\tlinux16 /boot/memtest86+.bin\n");
  expect(files["/etc/default/grub"]).toBe(
    `GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet resume=UUID=${SWAP_UUID}"\n` +
      `GRUB_CMDLINE_LINUX="${CONSOLES}"\nGRUB_DISABLE_LINUX_UUID=false\n`,
  );
});

test.each([
  [
    "/boot/loader/entries/6c0d.conf",
    "title Rocky\noptions root=/dev/sda2 ro crashkernel=auto\n",
    `title Rocky\noptions root=UUID=${ROOT_UUID} ro crashkernel=auto ${CONSOLES}\n`,
  ],
  [
    "/etc/kernel/cmdline",
    "root=PARTUUID=ab ro console=ttyS1,57600n8",
    "root=PARTUUID=ab ro console=ttyS0,115200",
  ],
  [
    "/boot/grub/menu.lst",
    "kernel /vmlinuz-2.6.32 ro root=/dev/sda2 rhgb\n",
    `kernel /vmlinuz-2.6.32 ro root=UUID=${ROOT_UUID} rhgb ${CONSOLES}\n`,
  ],
  [
    "/boot/grub/grub.cfg",
    "linux /vmlinuz root=/dev/mapper/rl-root ro net.ifnames=0 biosdevname=0 console=tty0 console=hvc0",
    "linux /vmlinuz root=/dev/mapper/rl-root ro net.ifnames=0 biosdevname=0 console=tty0 console=ttyS0,115200",
  ],
  // A device that never appears: https://github.com/systemd/systemd/issues/35180
  [
    "/boot/grub/grub.cfg",
    "linux /vmlinuz root=UUID=ab resume=/dev/sdq1 console=ttyS0",
    "linux /vmlinuz root=UUID=ab noresume console=ttyS0",
  ],
  [
    "/boot/grub/grub.cfg",
    "linux /vmlinuz root=UUID=ab console=ttyS1 console=hvc0",
    "linux /vmlinuz root=UUID=ab console=ttyS0,115200",
  ],
])("the parameters in %s fit the machine: %s", (path, before, after) => {
  expect(adaptedFiles({ files: { [path]: before } }).files).toEqual({ [path]: after });
});

test("a kernel whose parameters already fit is left alone", () => {
  const line = `linux /vmlinuz root=UUID=${ROOT_UUID} ro ${CONSOLES}`;
  const files = { "/boot/grub/grub.cfg": line, "/etc/default/grub": `GRUB_CMDLINE_LINUX="${CONSOLES}"\n` };
  expect(adaptedFiles({ files })).toEqual({ files: {}, notes: [], commands: [] });
});

test("GRUB's list of disks goes if it names hardware: https://github.com/libguestfs/virt-v2v/issues/80", () => {
  const path = "/boot/grub2/device.map";
  expect(adaptedFiles({ files: { [path]: "(hd0)\t/dev/nvme0n1\n" } }).files).toEqual({ [path]: null });
  expect(adaptedFiles({ files: { [path]: "(hd0)\t/dev/disk/by-id/ata-X\n" } }).files).toEqual({
    [path]: null,
  });
  expect(adaptedFiles({ files: { [path]: "(fd0)\t/dev/fd0\n" } }).files).toEqual({});
});

test("LVM's list of devices goes: it knows them by serial numbers", () => {
  const path = "/etc/lvm/devices/system.devices";
  const { files, commands } = adaptedFiles({
    files: { [path]: "IDTYPE=sys_wwid IDNAME=naa.5 DEVNAME=/dev/sda3\n" },
  });
  expect(files).toEqual({ [path]: null });
  expect(commands).toHaveLength(1);
});

test("an initramfs without the drivers of the new bus is built again, and keeps them from then on", () => {
  const { files, commands } = adaptedFiles({
    kernels: [aKernel(["ahci", "sd_mod"]), aKernel(undefined, "6.1.0-17-amd64")],
    files: {
      "/etc/initramfs-tools/initramfs.conf": "MODULES=most\nBUSYBOX=auto\n",
      "/etc/initramfs-tools/conf.d/driver-policy": "# Driver inclusion policy\nMODULES=dep\n",
      "/etc/initramfs-tools/modules": "# List of modules\nvirtio-pci\n",
    },
  });
  expect(files).toEqual({
    "/etc/initramfs-tools/conf.d/driver-policy": "# Driver inclusion policy\nMODULES=most\n",
    "/etc/initramfs-tools/modules": "# List of modules\nvirtio-pci\nvirtio_blk\n",
  });
  expect(commands).toEqual(["update-initramfs -u -k 6.1.0-18-amd64"]);
});

test("an initramfs that has the drivers is not built again, whatever its policy is", () => {
  const files = {
    "/etc/initramfs-tools/initramfs.conf": "MODULES=dep\n",
    "/etc/initramfs-tools/modules": "",
  };
  expect(adaptedFiles({ files })).toEqual({ files: {}, notes: [], commands: [] });
});

test("the device to resume from is in the initramfs, too", () => {
  const path = "/etc/initramfs-tools/conf.d/resume";
  const { files, commands } = adaptedFiles({ files: { [path]: "RESUME=/dev/sda3\n" } });
  expect(files).toEqual({ [path]: `RESUME=UUID=${SWAP_UUID}\n` });
  expect(commands).toEqual(["update-initramfs -u -k 6.1.0-18-amd64"]);
});

test("dracut gets the drivers by name, and does not look at the hardware on which it runs", () => {
  const kernel = aKernel([], "5.14.0-362.el9.x86_64");
  const initramfs = { path: "/boot/initramfs-5.14.0-362.el9.x86_64.img", modules: new Set<string>() };
  const { files, commands } = adaptedFiles(
    { programs: ["/usr/bin/dracut"], kernels: [{ ...kernel, initramfs }] },
    { diskBus: "scsi" },
  );
  expect(files).toEqual({
    "/etc/dracut.conf.d/90-causeway.conf": 'add_drivers+=" virtio_pci virtio_scsi sd_mod "\n',
  });
  expect(commands).toEqual([
    "dracut --force --no-hostonly --kver 5.14.0-362.el9.x86_64 /boot/initramfs-5.14.0-362.el9.x86_64.img",
  ]);
});

test("an initramfs that a boot loader starts, and that is not among the kernels', is named", () => {
  const entry = (initrd: string) => `title Debian\noptions root=UUID=ab console=ttyS0\ninitrd ${initrd}\n`;
  const path = "/boot/efi/loader/entries/6c0d.conf";
  expect(adaptedFiles({ files: { [path]: entry("/6c0d/6.1.0-18-amd64/initrd") } }).notes).toEqual([
    `${path} starts /6c0d/6.1.0-18-amd64/initrd, whose drivers are not looked at`,
  ]);
  const known = "/intel-ucode.img /initrd.img-6.1.0-18-amd64 $tuned_initrd";
  expect(adaptedFiles({ files: { [path]: entry(known) } }).notes).toEqual([]);
});

test("a kernel that lacks a driver altogether is named, and so is one of unknown content", () => {
  const poor = { ...aKernel([]), modules: new Set(["virtio_pci"]) };
  expect(adaptedFiles({ kernels: [poor] }).notes).toEqual(["kernel 6.1.0-18-amd64 has no driver virtio_blk"]);
  const opaque = { ...aKernel(), initramfs: { path: "/boot/initrd", modules: "unknown" as const } };
  expect(adaptedFiles({ kernels: [opaque] }).commands).toEqual(["update-initramfs -u -k 6.1.0-18-amd64"]);
});

test("drivers that are in the kernel itself are in no initramfs: Ubuntu has virtio so", () => {
  const kernel = { ...aKernel([]), builtIn: new Set(["virtio_pci", "virtio_blk"]) };
  expect(adaptedFiles({ kernels: [kernel] })).toEqual({ files: {}, notes: [], commands: [] });
});

const ESP = "/boot/efi/EFI";

test("a firmware without boot entries finds the system's own boot loader", () => {
  const files = {
    [`${ESP}/debian/grubx64.efi`]: "GRUB",
    [`${ESP}/debian/shimx64.efi`]: "shim",
    [`${ESP}/ubuntu/grubx64.efi`]: "an older system's",
    "/etc/os-release": 'PRETTY_NAME="Debian"\nID=debian\n',
  };
  expect(adaptedFiles({ files }, { firmware: "uefi" }).files).toEqual({
    [`${ESP}/BOOT/BOOTX64.EFI`]: "GRUB",
  });
  expect(adaptedFiles({ files }, { firmware: "bios" }).files).toEqual({});
  const both = { ...files, [`${ESP}/Boot/bootx64.efi`]: "its own" };
  expect(adaptedFiles({ files: both }, { firmware: "uefi" }).files).toEqual({});
});
