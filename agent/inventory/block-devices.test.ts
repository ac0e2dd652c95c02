import { expect, test } from "vitest";
import { createJunkImage, inScratch, MIB, tool } from "../filesystems/testing/test-image.ts";
import { Mounts, parseMountInfo } from "../machine/mounts.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { type ChosenDisk, collectDisks } from "./disks.ts";

interface Device {
  /** Below /sys/devices. */
  place: string;
  sectors?: number;
  serial?: string;
  wwid?: string;
  files?: Record<string, string>;
}

/** A machine with these block devices by the kernel's names, as its /sys shows them. */
function machineWith(devices: Record<string, Device>, disks: Record<string, string> = {}): RecordedMachine {
  const files: Record<string, string> = {};
  const links: Record<string, string> = {};
  let minor = 0;
  for (const [name, { place, sectors = 204_800, serial, wwid, files: more = {} }] of Object.entries(
    devices,
  )) {
    links[`/sys/class/block/${name}`] = `/sys/devices/${place}/block/${name}`;
    links[`/dev/${name}`] = `/dev/${name}`;
    for (const sys of [`/sys/class/block/${name}`, `/sys/block/${name}`]) {
      files[`${sys}/size`] = `${sectors}\n`;
      files[`${sys}/dev`] = `8:${minor}\n`;
      if (serial) files[`${sys}/device/serial`] = serial;
      if (wwid) files[`${sys}/device/wwid`] = wwid;
      for (const [path, text] of Object.entries(more)) files[`${sys}/${path}`] = text;
    }
    minor += 16;
  }
  return new RecordedMachine({ files, links, disks });
}

async function offered(
  devices: Record<string, Device>,
  { chosen = [], mounts = "" }: { chosen?: ChosenDisk[]; mounts?: string } = {},
) {
  const found = await collectDisks(machineWith(devices), new Mounts(parseMountInfo(mounts), []), chosen, {
    withoutIdleMedia: true,
  });
  return found.map(({ name, path, transport, unrecognisable }) => ({
    name,
    path,
    transport,
    unrecognisable,
  }));
}

const SATA = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
const USB = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0";
const sda = { place: SATA, serial: "WD-1" };

// openzfs/zfs#3759, maas#512: on a host of virtual machines these are its guests' disks.
test.each<[string, string, string]>([
  ["a zvol", "zd16", "virtual"],
  ["a DRBD volume", "drbd1", "virtual"],
  ["a Ceph volume", "rbd0", "rbd/0"],
  ["a bcache", "bcache0", "virtual"],
  ["a network block device", "nbd0", "virtual"],
  ["a volume of the device mapper", "dm-3", "virtual"],
  ["an array", "md127", "virtual"],
  ["an array with a name", "md_boot", "virtual"],
  ["a loop device", "loop7", "virtual"],
  ["compressed memory", "zram0", "virtual"],
  ["memory", "ram0", "virtual"],
  ["a server's end of ublk", "ublkb0", "virtual"],
  ["a storage driver's volume of a name of its own", "pxd!pxd101", "virtual"],
  ["an AoE disk", "etherd!e0.0", "virtual"],
  ["LIO's loopback of a file", "sdx", "tcm_loop_0/tcm_loop_adapter_0/host9/target9:0:1/9:0:1:0"],
  ["a simulated SCSI disk", "sdy", "pseudo_0/adapter0/host9/target9:0:0/9:0:0:0"],
  ["a CD drive", "sr0", SATA],
  ["a floppy drive", "fd0", "platform/floppy.0"],
  ["a boot partition of eMMC", "mmcblk0boot0", "platform/soc/mmc_host/mmc0/mmc0:0001"],
])("%s is not a disk of the machine", async (_, name, place) => {
  const found = await offered({ [name]: { place, serial: "S" }, sda });
  expect(found.map((disk) => disk.name)).toEqual(["sda"]);
});

test("a device made by software is offered if it is chosen, and says that it could not be found again", async () => {
  const devices = { zd16: { place: "virtual" }, sda };
  const [zvol] = await offered(devices, { chosen: [{ name: "guest", path: "/dev/zd16" }] });
  expect(zvol).toMatchObject({ name: "guest", unrecognisable: expect.stringContaining("software") });
});

test.each<[string, string, string, string]>([
  ["a SAS disk of an old controller", "cciss!c0d0", "pci0000:00/0000:00:02.0/cciss0/c0d0", "cciss-c0d0"],
  ["a Xen disk", "xvda", "vbd-51712", "xvda"],
  ["an NVMe disk", "nvme0n1", "pci0000:00/0000:00:04.0/nvme/nvme0", "nvme0n1"],
  [
    "an NVMe disk that several controllers share",
    "nvme1n1",
    "virtual/nvme-subsystem/nvme-subsys1",
    "nvme1n1",
  ],
  ["a disk of Hyper-V", "sdb", "LNXSYSTM:00/VMBUS:00/abc/host1/target1:0:0/1:0:0:0", "sdb"],
  ["persistent memory", "pmem0", "LNXSYSTM:00/ndbus0/region0/namespace0.0", "pmem0"],
])("%s is one", async (_, kernelName, place, name) => {
  expect(await offered({ [kernelName]: { place, serial: "S" } })).toMatchObject([{ name }]);
});

test.each<[string, string]>([
  ["tcp", "nvme-tcp"],
  ["rdma", "nvme-rdma"],
  ["pcie", "nvme"],
])("an NVMe disk over %s names the network that it is reached over", async (transport, expected) => {
  const place = "virtual/nvme-subsystem/nvme-subsys0";
  const found = await offered({ nvme0n1: { place, files: { "device/nvme0/transport": transport } } });
  expect(found).toMatchObject([{ transport: expected }]);
});

// rear#2451, #1722.
test("a multipath disk is offered once, by the device that joins its paths, and is mounted where that is", async () => {
  await inScratch(async (folder) => {
    const image = `${folder}/lun`;
    await createJunkImage(image, 16 * MIB);
    tool("sgdisk", "--clear", "--new=1:2048:+2M", image);
    const path = (port: number) => ({
      place: `pci0000:00/0000:00:05.0/host${port}/rport-${port}:0-0/target${port}:0:0/${port}:0:0:0`,
      wwid: "naa.600140500000001",
      serial: "LUN-1",
      files: { "holders/dm-0/dev": "253:0" },
    });
    const machine = machineWith(
      {
        sda: path(1),
        sdb: path(2),
        "dm-0": {
          place: "virtual",
          files: { "dm/uuid": "mpath-3600140500000001\n", "holders/dm-1/dev": "" },
        },
        "dm-1": { place: "virtual", files: { "dm/uuid": "part1-mpath-3600140500000001\n", dev: "253:1" } },
      },
      { "/dev/dm-0": image },
    );
    const mounts = new Mounts(parseMountInfo("27 1 253:1 / / rw - ext4 /dev/mapper/mpatha1 rw"), []);
    expect(await collectDisks(machine, mounts, [])).toMatchObject([
      {
        name: "sda",
        path: "/dev/dm-0",
        wwid: "naa.600140500000001",
        multipath: true,
        transport: "fc",
        partitions: [{ path: "/dev/dm-1", mountPoints: ["/"] }],
      },
    ]);
    const [chosen] = await collectDisks(machine, mounts, [{ name: "lun", path: "/dev/dm-0" }]);
    expect(chosen).toMatchObject({ name: "lun", multipath: true });
    expect(chosen?.unrecognisable).toBeUndefined();
    const [onePath] = await collectDisks(machine, mounts, [{ name: "lun", path: "/dev/sdb" }]);
    expect(onePath?.unrecognisable).toContain("one path of another disk");
  });
});

test("two disks with one WWID that nothing joins are two disks, and neither could be found again", async () => {
  const twin = { place: SATA, wwid: "naa.1", serial: "CLONED" };
  expect(await offered({ sda: twin, sdb: twin, sdc: { place: SATA, serial: "OWN" } })).toMatchObject([
    { name: "sda", unrecognisable: "nothing tells it from sdb" },
    { name: "sdb", unrecognisable: "nothing tells it from sda" },
    { name: "sdc", unrecognisable: undefined },
  ]);
});

test("a disk names its twin even if only one of the two is chosen", async () => {
  const twin = { place: SATA, serial: "CLONED" };
  const found = await offered({ sda: twin, sdb: twin }, { chosen: [{ name: "root", path: "/dev/sda" }] });
  expect(found).toMatchObject([{ name: "root", unrecognisable: "nothing tells it from sdb" }]);
});

test("a blank disk without a serial number, as QEMU creates it, could not be found again", async () => {
  expect(await offered({ vdb: { place: "pci0000:00/0000:00:05.0/virtio2" } })).toMatchObject([
    { unrecognisable: expect.stringContaining("neither a partition table nor a serial number") },
  ]);
});

test("USB sticks and a service processor's virtual media are left out while nothing uses them", async () => {
  const stick = { place: USB, serial: "AAAABBBB", files: { removable: "1\n" } };
  const usbDisk = { place: USB, serial: "CCCC", files: { removable: "0\n" } };
  expect((await offered({ sda, sdb: stick, sdc: usbDisk })).map(({ name }) => name)).toEqual(["sda", "sdc"]);
  const used = await offered({ sdb: stick }, { mounts: "27 1 8:0 / / rw - ext4 /dev/sdb rw" });
  expect(used.map(({ name }) => name)).toEqual(["sdb"]);
  const held = { ...stick, files: { ...stick.files, "holders/dm-0/dev": "253:0" } };
  expect((await offered({ sdb: held })).map(({ name }) => name)).toEqual(["sdb"]);
});
