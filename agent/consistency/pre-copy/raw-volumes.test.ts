/** Volumes that a program writes to without a file system: which they are, and that a point says so. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { tool } from "../../filesystems/testing/test-image.ts";
import { readDeviceTree } from "./device-tree.ts";
import { readKernelUsers } from "./kernel-users.ts";
import { readOpenDevices } from "./open-devices.ts";
import { findRawVolumes } from "./raw-volumes.ts";
import type { DeviceInTree, DeviceTree } from "./volumes-to-freeze.ts";

const DEVICES: Readonly<Record<string, DeviceInTree>> = {
  "8:0": { kernelName: "sda", parts: [] },
  "8:1": { kernelName: "sda1", parts: [], partition: { number: 1, disk: "8:0" } },
  "8:2": { kernelName: "sda2", parts: [], partition: { number: 2, disk: "8:0" } },
  "253:0": { kernelName: "dm-0", parts: ["8:2"], mappedName: "vg-oracle" },
};
const tree: DeviceTree = {
  mounts: [{ device: "8:1", source: "/dev/8:1", mountPoint: "/", type: "ext4" } as never],
  superblocks: [],
  numberOf: async (path) => path.slice("/dev/".length),
  deviceAt: async () => "8:1",
  describe: async (device) => DEVICES[device],
};

test("a logical volume that a program holds open is raw, a mounted one is not, nor is one of another disk", async () => {
  const open = [
    { device: "253:0", program: "oracle" },
    { device: "253:0", program: "backup" },
    { device: "8:1", program: "debugfs" },
  ];
  expect(await findRawVolumes(tree, ["8:0"], open)).toEqual([
    { name: "vg-oracle", disks: ["253:0", "8:0"], program: "oracle" },
  ]);
  expect(await findRawVolumes(tree, ["8:16"], open)).toEqual([]);
});

/** A loop device of 8 MiB with this partition table. */
function loopDevice(table?: string): string {
  const folder = mkdtempSync(join(tmpdir(), "raw-volumes-"));
  const image = join(folder, "disk");
  writeFileSync(image, "");
  truncateSync(image, 8 * 2 ** 20);
  const device = tool("losetup", "--find", "--show", image).trim();
  onTestFinished(() => {
    // The kernel would keep them for the next user of the device.
    if (table) tool("partx", "--delete", device);
    tool("losetup", "--detach", device);
    rmSync(folder, { recursive: true });
  });
  if (table) {
    tool("sh", "-c", `echo '${table}' | sfdisk --quiet --no-reread --no-tell-kernel ${device}`);
    tool("partx", "--update", device);
  }
  return device;
}

/** A process that holds a device open. */
async function holds(device: string, mode: string): Promise<void> {
  const holder = spawn("sh", ["-c", `exec 3${mode}${device}; echo ready; exec sleep 60`]);
  onTestFinished(async () => {
    holder.kill();
    await once(holder, "exit");
  });
  await once(holder.stdout, "data");
}

test("a device that a process holds open for writing is found, with the process's name", async () => {
  const device = loopDevice();
  const number = await (await readDeviceTree()).numberOf(device);
  expect((await readOpenDevices()).map((each) => each.device)).not.toContain(number);
  await holds(device, "<>");
  expect(await readOpenDevices()).toContainEqual({ device: number, program: "sleep" });
});

test.each<[string, string, string?]>([
  ["held open for reading", "<"],
  ["with partitions, which monitoring programs hold open", "<>", "2048,2048,L"],
])("a device %s is not found", async (_, mode, table) => {
  const device = loopDevice(table);
  await holds(device, mode);
  const number = await (await readDeviceTree()).numberOf(device);
  expect((await readOpenDevices()).map((each) => each.device)).not.toContain(number);
});

/** A folder with these files, each with its content. */
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "kernel-users-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

test("devices that the kernel exports to other machines, and members of ZFS pools, are found", async () => {
  const [scsi, nvme, member, unused] = [loopDevice(), loopDevice(), loopDevice(), loopDevice()];
  const file = openSync(member, "r+");
  // An uberblock in the first label.
  writeSync(file, Buffer.from("0cb1ba0000000000", "hex"), 0, 8, 128 * 1024);
  closeSync(file);
  const folder = folderWith({
    "core/iblock_0/disk1/udev_path": `${scsi}\n`,
    "core/alua/lu_gps/default": "",
    "subsystems/nqn.example/namespaces/1/device_path": `${nvme}\n`,
    "subsystems/nqn.example/namespaces/2/device_path": "/images/file\n",
    "pools/arcstats": "",
    "pools/tank/state": "ONLINE",
  });
  const [targets, subsystems, pools] = ["core", "subsystems", "pools"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const found = await readKernelUsers({ targets, subsystems, pools });
  const { numberOf } = await readDeviceTree();
  expect(found).toEqual(
    expect.arrayContaining([
      { device: await numberOf(scsi), program: "iSCSI target disk1" },
      { device: await numberOf(nvme), program: "NVMe target nqn.example" },
      { device: await numberOf(member), program: "ZFS" },
    ]),
  );
  expect(found.map(({ device }) => device)).not.toContain(await numberOf(unused));
  const none = { targets: "/none", subsystems: "/none", pools: join(folder, "core/iblock_0/disk1") };
  expect(await readKernelUsers(none)).toEqual([]);
});
