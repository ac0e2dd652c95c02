import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { contentTypesOf } from "../../filesystems/device-content.ts";
import { deviceNumber } from "./device-tree.ts";
import { isMadeInto, readOpenDevices } from "./open-devices.ts";
import type { OpenDevice } from "./raw-volumes.ts";

/** Where the kernel says what it exports to other machines, and which ZFS pools are in use. */
const PLACES = {
  targets: "/sys/kernel/config/target/core",
  subsystems: "/sys/kernel/config/nvmet/subsystems",
  pools: "/proc/spl/kstat/zfs",
};

/** Without media, made of nothing that is on a disk, or made by ZFS itself. */
const NEVER_MEMBERS = /^(?:sr|fd|ram|zram|zd)\d/;

/** The block devices that programs of this machine hold open for writing, or to which its kernel writes. */
export async function readWrittenDevices(): Promise<OpenDevice[]> {
  return [...(await readOpenDevices()), ...(await readKernelUsers())];
}

/**
 * The block devices to which the kernel itself writes, and that no list of file systems or of what devices
 * are made of shows: those that it exports to other machines, and the members of ZFS pools.
 */
export async function readKernelUsers(places = PLACES): Promise<OpenDevice[]> {
  const found: OpenDevice[] = [];
  for (const { path, program } of [...(await targetsIn(places)), ...(await namespacesIn(places))]) {
    const stats = await stat(path).catch(absent);
    if (stats?.isBlockDevice()) found.push({ device: deviceNumber(stats.rdev), program });
  }
  return [...found, ...(await poolMembers(places))];
}

interface Export {
  /** Of the device. */
  path: string;
  program: string;
}

/** LIO's backstores. */
async function targetsIn({ targets }: typeof PLACES): Promise<Export[]> {
  const found: Export[] = [];
  for (const adapter of await namesIn(targets))
    for (const name of await namesIn(join(targets, adapter))) {
      const path = await text(join(targets, adapter, name, "udev_path"));
      if (path) found.push({ path, program: `iSCSI target ${name}` });
    }
  return found;
}

async function namespacesIn({ subsystems }: typeof PLACES): Promise<Export[]> {
  const found: Export[] = [];
  for (const subsystem of await namesIn(subsystems))
    for (const number of await namesIn(join(subsystems, subsystem, "namespaces"))) {
      const path = await text(join(subsystems, subsystem, "namespaces", number, "device_path"));
      if (path) found.push({ path, program: `NVMe target ${subsystem}` });
    }
  return found;
}

/** Each pool in use has a folder there; only labels say which devices are its members. */
async function poolMembers({ pools }: typeof PLACES): Promise<OpenDevice[]> {
  const entries = (await readdir(pools, { withFileTypes: true }).catch(absent)) ?? [];
  if (!entries.some((entry) => entry.isDirectory())) return [];
  const found: OpenDevice[] = [];
  for (const name of await namesIn("/sys/class/block")) {
    const device = NEVER_MEMBERS.test(name) ? undefined : await text(join("/sys/class/block", name, "dev"));
    if (device === undefined || (await isMadeInto(device))) continue;
    if (await hasPoolLabel(join("/dev", name.replaceAll("!", "/")))) found.push({ device, program: "ZFS" });
  }
  return found;
}

/** Whether its content is that of a pool's member. One that cannot be read is none that is in use. */
async function hasPoolLabel(path: string): Promise<boolean> {
  return (await contentTypesOf(path).catch((): string[] => [])).includes("zfs_member");
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(absent)) ?? [];
}

async function text(path: string): Promise<string | undefined> {
  return (await readFile(path, "utf8").catch(absent))?.trim();
}

/** The kernel has no such thing, or it was removed just now. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (!["ENOENT", "ENOTDIR", "ENODEV", "ENXIO"].includes(error.code ?? "")) throw error;
}
