import { access, readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { mayReadDiscardedDifferently } from "./discard-promise.ts";
import { type DiskFacts, kindOfDisk } from "./kind-of-disk.ts";

const MAX_IDENTITY_BYTES = 127;
/** Below the disk's folder in /sys: what names a disk beyond its place, best first. */
const IDENTITIES = ["wwid", "device/wwid", "serial", "device/serial", "device/cid", "loop/backing_file"];

/** Why the writes to this path's disk cannot be followed, as its kind says; only trying tells more. */
export async function whyUntracked(path: string): Promise<string | undefined> {
  const facts = await readDiskFacts(path);
  if (!facts) return "it is no block device, so its writes cannot be followed";
  const kind = kindOfDisk(facts);
  return "untracked" in kind ? kind.untracked : undefined;
}

/** What only a reader of its changes has to know of a disk. */
interface ReadDiskFacts extends DiskFacts {
  identity: string;
  mayReadDiscardedDifferently: boolean;
}

/** What /sys says of the block device with this path; `undefined` if it is none. */
export async function readDiskFacts(path: string): Promise<ReadDiskFacts | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats?.isBlockDevice()) return undefined;
  const link = `/sys/dev/block/${majorOf(stats.rdev)}:${minorOf(stats.rdev)}`;
  const target = await readlink(link).catch(() => undefined);
  if (target === undefined) return undefined;
  const kernelName = basename(target);
  return {
    kernelName,
    isPartition: await exists(join(link, "partition")),
    hasRequests: await exists(join(link, "mq")),
    nvmePaths: nvmePathsOf(kernelName, await list("/sys/block")),
    isPathOfMultipath: await isPathOfMultipath(link),
    isZoned: !["none", undefined].includes(await text(join(link, "queue/zoned"))),
    identity: await identityOf(link),
    mayReadDiscardedDifferently: mayReadDiscardedDifferently(
      await readFile(join(link, "device/vpd_pg89")).catch(() => undefined),
    ),
  };
}

/** The hidden paths of an NVMe disk among the names of disks: `nvme0c1n2` is one of `nvme0n2`. */
function nvmePathsOf(kernelName: string, names: readonly string[]): string[] {
  const [, subsystem, namespace] = /^nvme(\d+)n(\d+)$/.exec(kernelName) ?? [];
  if (subsystem === undefined) return [];
  const path = new RegExp(`^nvme${subsystem}c\\d+n${namespace}$`);
  return names.filter((name) => path.test(name));
}

async function isPathOfMultipath(link: string): Promise<boolean> {
  for (const holder of await list(join(link, "holders")))
    if ((await text(join("/sys/block", holder, "dm/uuid")))?.startsWith("mpath-")) return true;
  return false;
}

async function identityOf(link: string): Promise<string> {
  for (const name of IDENTITIES) {
    const value = await text(join(link, name));
    // Cut by characters that take one byte each, so that what the kernel keeps is what was given.
    if (value) return value.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_IDENTITY_BYTES);
  }
  return "";
}

async function text(path: string): Promise<string | undefined> {
  return (await readFile(path, "utf8").catch(() => undefined))?.replaceAll("\0", "").trim();
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

// Linux's dev_t as stat gives it: 12 bits of major above 8 of minor, the rest of both higher up.
function majorOf(device: number): number {
  return Number((BigInt(device) >> 8n) & 0xfffn) | Number((BigInt(device) >> 32n) & ~0xfffn);
}
function minorOf(device: number): number {
  return Number(BigInt(device) & 0xffn) | Number((BigInt(device) >> 12n) & 0xffffff00n);
}
