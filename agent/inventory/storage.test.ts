import { expect, test } from "vitest";
import { Mounts, parseMountInfo, parseSwaps } from "../machine/mounts.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { collectBootLoader } from "./boot-loader.ts";
import { transportOf } from "./disks.ts";
import { collectVolumeGroups } from "./lvm.ts";
import { collectRaidArrays } from "./raid.ts";

const NO_MOUNTS = new Mounts([], []);

test("mounts are found by device number and by path, with odd characters decoded", () => {
  const mounts = new Mounts(
    parseMountInfo(
      [
        "27 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw",
        "40 27 0:45 /@data /srv/my\\040data rw - btrfs /dev/sdb1 rw",
        "41 27 8:3 / /one-view ro - ext4 /dev/sda3 rw,errors=remount-ro",
        "42 27 7:0 / /snap/core/1 ro,nodev shared:2 - squashfs /dev/loop0 ro,errors=continue",
        "a line that is not one",
      ].join("\n"),
    ),
    parseSwaps("Filename\t\tType\nSize\n/dev/dm-1 partition 999 0 -2\n"),
  );
  expect(mounts.pointsOf("8:2", ["/dev/other"])).toEqual(["/"]);
  // btrfs has a device number of its own: only the path identifies it.
  expect(mounts.pointsOf("8:17", ["/dev/sdb1"])).toEqual(["/srv/my data"]);
  expect(mounts.pointsOf(undefined, ["/dev/vg/swap", "/dev/dm-1"])).toEqual(["[SWAP]"]);
  expect(mounts.holding("/srv/my data/x")?.source).toBe("/dev/sdb1");
  expect(mounts.holding("/srv/my database")?.source).toBe("/dev/sda2");
  // One view of a file system can be read-only although others are not.
  expect(mounts.all.map(({ isReadOnly }) => isReadOnly)).toEqual([false, false, false, true]);
});

test("LVM's reports become volume groups", async () => {
  const options = "--reportformat json --units b --nosuffix -o";
  const machine = new RecordedMachine({
    // As printed by LVM 2.03.16.
    commands: {
      [`vgs ${options} vg_name,vg_uuid,vg_size,vg_free,vg_extent_size`]:
        '{"report":[{"vg":[{"vg_name":"vg0","vg_uuid":"y0hygM-dZff-H8tu-eszc-IL0f-yGsX-sc7QaA","vg_size":"66060288","vg_free":"26214400","vg_extent_size":"1048576"}]}]}',
      [`pvs ${options} pv_name,vg_name`]:
        '{"report":[{"pv":[{"pv_name":"/dev/sda3","vg_name":"vg0"},{"pv_name":"/dev/sdb","vg_name":""}]}]}',
      [`lvs ${options} vg_name,lv_name,lv_path,lv_size,lv_layout`]:
        '{"report":[{"lv":[{"vg_name":"vg0","lv_name":"root","lv_path":"/dev/vg0/root","lv_size":"31457280","lv_layout":"linear"},{"vg_name":"vg0","lv_name":"pool","lv_path":"","lv_size":"8388608","lv_layout":"thin,pool"}]}]}',
    },
    links: { "/dev/vg0/root": "/dev/dm-0" },
    files: { "/sys/class/block/dm-0/dev": "253:0\n" },
  });
  const mounts = new Mounts(parseMountInfo("27 1 253:0 / / rw - ext4 /dev/mapper/vg0-root rw"), []);
  expect(await collectVolumeGroups(machine, mounts)).toEqual([
    {
      name: "vg0",
      uuid: "y0hygM-dZff-H8tu-eszc-IL0f-yGsX-sc7QaA",
      sizeBytes: 66_060_288,
      freeBytes: 26_214_400,
      extentBytes: 2 ** 20,
      physicalVolumes: ["/dev/sda3"],
      logicalVolumes: [
        {
          name: "root",
          path: "/dev/vg0/root",
          sizeBytes: 31_457_280,
          layout: "linear",
          content: { type: "unknown" },
          mountPoints: ["/"],
        },
        expect.objectContaining({ name: "pool", path: "/dev/vg0/pool", layout: "thin,pool" }),
      ],
    },
  ]);
});

test("without LVM's tools the result is undefined, and with odd output there are no groups", async () => {
  expect(await collectVolumeGroups(new RecordedMachine({}), NO_MOUNTS)).toBeUndefined();
  const options = "--reportformat json --units b --nosuffix -o";
  const commands = Object.fromEntries(
    ["vgs", "pvs", "lvs"].map((command, index) => {
      const fields = [
        "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size",
        "pv_name,vg_name",
        "vg_name,lv_name,lv_path,lv_size,lv_layout",
      ];
      return [`${command} ${options} ${fields[index]}`, "  Unrecognised option `reportformat'"];
    }),
  );
  expect(await collectVolumeGroups(new RecordedMachine({ commands }), NO_MOUNTS)).toEqual([]);
});

test("md arrays are read from the kernel, and their UUID from mdadm", async () => {
  const machine = new RecordedMachine({
    files: {
      "/sys/block/md127/size": "2093056\n",
      "/sys/block/md127/dev": "9:127\n",
      "/sys/block/md127/md/level": "raid1\n",
      "/sys/block/md127/md/degraded": "1\n",
      "/sys/block/md127/md/array_state": "clean\n",
      "/sys/block/md127/md/dev-sda1/slot": "0\n",
      "/sys/block/md127/md/dev-sdb1/slot": "none\n",
      "/sys/block/sda/size": "4096\n",
    },
    commands: {
      "mdadm --detail --export /dev/md127":
        "MD_LEVEL=raid1\nMD_DEVICES=2\nMD_METADATA=1.2\nMD_UUID=8a0f3f0b:7c1f4b8c:1f1c3a56:0a9f4be1\nMD_NAME=host:0\n",
    },
  });
  expect(await collectRaidArrays(machine, NO_MOUNTS)).toEqual([
    {
      name: "md127",
      path: "/dev/md127",
      level: "raid1",
      uuid: "8a0f3f0b:7c1f4b8c:1f1c3a56:0a9f4be1",
      sizeBytes: 2_093_056 * 512,
      state: "active",
      degraded: true,
      members: ["/dev/sda1", "/dev/sdb1"],
      content: { type: "unknown" },
      mountPoints: [],
    },
  ]);
});

test.each([
  ["nvme0n1", "/sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1", "nvme"],
  ["sda", "/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", "sata"],
  ["sdb", "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb", "usb"],
  [
    "sdc",
    "/sys/devices/pci0000:00/0000:02:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sdc",
    "sas",
  ],
  ["sdd", "/sys/devices/platform/host3/session1/target3:0:0/3:0:0:0/block/sdd", "iscsi"],
  ["sde", "/sys/devices/pci0000:00/0000:00:10.0/host2/target2:0:0/2:0:0:0/block/sde", "unknown"],
])("the transport of %s follows from its place", (name, path, transport) => {
  expect(transportOf(name, path)).toBe(transport);
});

test("GRUB's environment on LVM is reported with its device, because it cannot be armed there", async () => {
  const machine = new RecordedMachine({
    files: { "/boot/grub2/grub.cfg": "set", "/boot/grub2/grubenv": "# GRUB" },
  });
  const mounts = new Mounts(parseMountInfo("27 1 253:0 / / rw - xfs /dev/mapper/rhel-root rw"), []);
  expect(await collectBootLoader(machine, mounts)).toEqual({
    kind: "grub",
    configPath: "/boot/grub2/grub.cfg",
    environmentPath: "/boot/grub2/grubenv",
    environmentFileSystem: "xfs",
    environmentDevice: "/dev/mapper/rhel-root",
    entries: [],
  });
});

test("systemd-boot that ran is preferred to GRUB that is only installed", async () => {
  const files = {
    "/boot/grub/grub.cfg": "set",
    "/efi/EFI/systemd/systemd-bootx64.efi": "MZ",
    "/efi/loader/loader.conf": "timeout 3",
  };
  const mounts = new Mounts(parseMountInfo("30 1 8:1 / /efi rw - vfat /dev/sda1 rw"), []);
  expect((await collectBootLoader(new RecordedMachine({ files }), mounts)).kind).toBe("grub");
  const variable = "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
  const ran = Buffer.concat([Buffer.alloc(4), Buffer.from("systemd-boot 252\0", "utf16le")]);
  const machine = new RecordedMachine({ files, binaryFiles: { [variable]: ran.toString("hex") } });
  expect(await collectBootLoader(machine, mounts)).toMatchObject({
    kind: "systemd-boot",
    configPath: "/efi/loader/loader.conf",
    espPath: "/efi",
  });
});

test("LILO is found by its configuration", async () => {
  const machine = new RecordedMachine({ files: { "/etc/lilo.conf": "boot=/dev/sda" } });
  expect((await collectBootLoader(machine, NO_MOUNTS)).kind).toBe("lilo");
});
