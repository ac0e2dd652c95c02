import { basename } from "node:path";
import { markOf, whyNotRecognised } from "#shared/domain/disk-recognition.ts";
import { type Disk, type Partition, UNKNOWN, type VolumeContent } from "#shared/protocol/inventory.ts";
import { type CloseableDiskReader, type DiskReader, sliceReader } from "../disk/reader.ts";
import type { PartitionTable } from "../filesystems/partition.ts";
import { readPartitionTable } from "../filesystems/partition-table.ts";
import { probeContent } from "../filesystems/probe.ts";
import { isMember } from "../filesystems/signatures/signature-table.ts";
import { ANSWER_LIMIT_MS, clip, type Machine, readNumber, readText } from "../machine/machine.ts";
import type { Mounts } from "../machine/mounts.ts";
import { withTimeLimit } from "../machine/time-limit.ts";
import { findMappedPartition, isMade, listDisks, type Multipath, placeOf } from "./block-devices.ts";
import { findDeviceUsers, USERS_LIMIT } from "./device-users.ts";

const SECTOR_BYTES = 512;
const PARTITION_LIMIT = 128;

/** A disk that the operator chose for the agent: an image file or a block device. */
export interface ChosenDisk {
  name: string;
  path: string;
}

/**
 * Whether nothing writes to the disk, as far as can be seen: an image file, for which its owner vouches, or a
 * device of which nothing is mounted, held or exported, and whose content cannot be in use without a mount.
 */
export function isUnused({ kind, mountPoints, content, partitions, usedBy = [] }: Disk): boolean {
  if (kind === "image") return true;
  const volumes = [{ mountPoints, content }, ...partitions];
  return (
    usedBy.length === 0 && volumes.every((volume) => volume.mountPoints.length === 0 && !mayBeInUse(volume))
  );
}

/** Arrays, volume groups, pools and swap are used without a mount. */
function mayBeInUse({ content }: { content?: VolumeContent | undefined }): boolean {
  const type = content?.type ?? "none";
  return type === UNKNOWN || type === "swap" || isMember(type);
}

/**
 * The chosen disks; if none are chosen, every disk of the machine that the kernel lists. `withoutIdleMedia`
 * leaves out unused USB sticks and virtual media of a service processor. Each disk says if it could not be
 * found again after a restart.
 */
export async function collectDisks(
  machine: Machine,
  mounts: Mounts,
  chosen: readonly ChosenDisk[],
  { withoutIdleMedia = false }: { withoutIdleMedia?: boolean | undefined } = {},
): Promise<Disk[]> {
  const all: Disk[] = [];
  for (const { kernelName, multipath } of await listDisks(machine)) {
    const name = kernelName.replaceAll("!", "-");
    const disk = await describeDevice(machine, mounts, { kernelName, name, multipath });
    if (disk) all.push(disk);
  }
  if (chosen.length === 0) {
    const offered: Disk[] = [];
    for (const disk of all) {
      if (!withoutIdleMedia || !(await isIdleMedium(machine, disk))) offered.push(judged(disk, all));
    }
    return offered.slice(0, 256);
  }
  const disks: Disk[] = [];
  for (const disk of chosen) disks.push(await describeChosen(machine, mounts, disk, all));
  return disks;
}

async function describeChosen(
  machine: Machine,
  mounts: Mounts,
  { name, path }: ChosenDisk,
  all: readonly Disk[],
): Promise<Disk> {
  const device = (await machine.resolve(path)) ?? path;
  const listed = all.find((disk) => disk.path === device);
  if (listed) return { ...judged(listed, all), name };
  if (device.startsWith("/dev/")) {
    const kernelName = device.slice("/dev/".length).replaceAll("/", "!");
    const disk = await describeDevice(machine, mounts, { kernelName, name });
    const isOwn = disk && !isMade({ kernelName, place: await placeOf(machine, kernelName) });
    if (disk) return { ...disk, unrecognisable: isOwn ? PART_OF_ANOTHER : MADE };
  }
  return describeImage(machine, { name, path });
}

const MADE = "this system's software makes it from other disks, files or the network";
const PART_OF_ANOTHER = "it is a partition or one path of another disk";

/** With the reason why it could not be found again among all of the machine's disks, if there is one. */
function judged(disk: Disk, all: readonly Disk[]): Disk {
  const unrecognisable = whyNotRecognised(markOf(disk), all.map(markOf));
  return unrecognisable === undefined ? disk : { ...disk, unrecognisable: clip(unrecognisable, 500) };
}

/** A USB disk with removable media of which nothing is mounted, swapped to or held. */
async function isIdleMedium(machine: Machine, disk: Disk): Promise<boolean> {
  const kernelName = disk.path.slice("/dev/".length);
  if (disk.transport !== "usb" || (await readNumber(machine, `/sys/block/${kernelName}/removable`)) !== 1)
    return false;
  const devices = [kernelName, ...disk.partitions.map(({ path }) => path?.slice("/dev/".length) ?? "")];
  for (const device of devices) {
    if ((await machine.list(`/sys/class/block/${device}/holders`)).length > 0) return false;
  }
  return [disk, ...disk.partitions].every(({ mountPoints }) => mountPoints.length === 0);
}

interface NamedDevice {
  kernelName: string;
  name: string;
  multipath?: Multipath | undefined;
}

async function describeDevice(
  machine: Machine,
  mounts: Mounts,
  { kernelName, name, multipath }: NamedDevice,
): Promise<Disk | undefined> {
  const sys = `/sys/class/block/${kernelName}`;
  const sizeBytes = ((await readNumber(machine, `${sys}/size`)) ?? 0) * SECTOR_BYTES;
  // A hidden one is a path of a multipath device, which is listed itself.
  if (sizeBytes === 0 || (await readNumber(machine, `${sys}/hidden`)) === 1) return undefined;
  // What is written to the device that joins the paths may not be visible on each of them.
  const path = `/dev/${(multipath?.kernelName ?? kernelName).replaceAll("!", "/")}`;
  const rotational = await readNumber(machine, `${sys}/queue/rotational`);
  const model = await readText(machine, `${sys}/device/model`);
  const serial = await findSerial(machine, sys);
  const wwid = (await readText(machine, `${sys}/wwid`)) ?? (await readText(machine, `${sys}/device/wwid`));
  const disk: Disk = {
    name,
    path,
    kind: "device",
    logicalSectorBytes: (await readNumber(machine, `${sys}/queue/logical_block_size`)) ?? SECTOR_BYTES,
    physicalSectorBytes: (await readNumber(machine, `${sys}/queue/physical_block_size`)) ?? SECTOR_BYTES,
    ...(model && { model: clip(model) }),
    ...(serial && { serial: clip(serial) }),
    ...(wwid && { wwid: clip(wwid) }),
    ...(multipath && { multipath: true }),
    transport:
      (await findNvmeFabric(machine, sys)) ?? transportOf(kernelName, await placeOf(machine, kernelName)),
    rotational: rotational === undefined ? UNKNOWN : rotational === 1,
    readOnly: (await readNumber(machine, `${sys}/ro`)) === 1,
    ...(await lookInside(machine, path)),
    sizeBytes,
    mountPoints: mounts.pointsOf(
      await readText(machine, `/sys/class/block/${multipath?.kernelName ?? kernelName}/dev`),
      [path],
    ),
  };
  for (const partition of disk.partitions) {
    await locatePartition(machine, mounts, { kernelName, multipath }, partition);
  }
  const parts = [disk, ...disk.partitions];
  const namesOf = (some: readonly { path?: string | undefined }[]) =>
    some.flatMap((part) => part.path?.slice("/dev/".length).replaceAll("/", "!") ?? []);
  const mounted = parts.filter(({ mountPoints }) => mountPoints.length > 0);
  const users = await findDeviceUsers(machine, namesOf(parts), namesOf(mounted));
  const elsewhere = await usersElsewhere(machine, mounts, namesOf(parts));
  const usedBy = [...new Set([...users, ...elsewhere])].slice(0, USERS_LIMIT);
  return usedBy.length > 0 ? { ...disk, usedBy } : disk;
}

/** File systems on these devices that only other mount namespaces have mounted. */
async function usersElsewhere(
  machine: Machine,
  mounts: Mounts,
  kernelNames: readonly string[],
): Promise<string[]> {
  const users: string[] = [];
  for (const name of kernelNames) {
    const type = mounts.typeElsewhere(await readText(machine, `/sys/class/block/${name}/dev`));
    if (type !== undefined) users.push(`${type} on ${name}`);
  }
  return users;
}

/** `nvme-tcp` and the like: the network that an NVMe disk is reached over, if any. */
async function findNvmeFabric(machine: Machine, sys: string): Promise<string | undefined> {
  const controllers = (await machine.list(`${sys}/device`)).filter((entry) => /^nvme\d+$/.test(entry));
  for (const folder of ["", ...controllers.map((controller) => `/${controller}`)]) {
    const transport = await readText(machine, `${sys}/device${folder}/transport`);
    if (transport !== undefined && transport !== "pcie") return clip(`nvme-${transport}`);
  }
  return undefined;
}

async function findSerial(machine: Machine, sys: string): Promise<string | undefined> {
  for (const path of [`${sys}/serial`, `${sys}/device/serial`]) {
    const text = await readText(machine, path);
    if (text) return text;
  }
  // SCSI's page 0x80: four bytes, then the number.
  const page = await machine.read(`${sys}/device/vpd_pg80`);
  return page?.toString("latin1", 4).replaceAll("\0", "").trim() || undefined;
}

/**
 * Finds the device of a partition and its mount points. The kernel may not have it: the table may be newer,
 * or of a kind it cannot read.
 */
async function locatePartition(
  machine: Machine,
  mounts: Mounts,
  { kernelName, multipath }: Pick<NamedDevice, "kernelName" | "multipath">,
  partition: Partition,
): Promise<void> {
  const separator = /\d$/.test(kernelName) ? "p" : "";
  const name = multipath
    ? await findMappedPartition(machine, multipath, partition.number)
    : `${kernelName}${separator}${partition.number}`;
  const device = name && (await readText(machine, `/sys/class/block/${name}/dev`));
  if (!device) return;
  partition.path = `/dev/${name.replaceAll("!", "/")}`;
  partition.mountPoints = mounts.pointsOf(device, [partition.path]);
}

async function describeImage(machine: Machine, { name, path }: ChosenDisk): Promise<Disk> {
  const inside = await lookInside(machine, path);
  const operatingSystem = await findOperatingSystem(machine, path, inside);
  return {
    name,
    path,
    kind: "image",
    logicalSectorBytes: SECTOR_BYTES,
    physicalSectorBytes: SECTOR_BYTES,
    transport: UNKNOWN,
    rotational: UNKNOWN,
    readOnly: false,
    ...inside,
    mountPoints: [],
    ...(operatingSystem && { operatingSystem }),
  };
}

type Inside = Pick<
  Disk,
  "sizeBytes" | "partitionTable" | "partitionTableUuid" | "partitions" | "content" | "unreadable" | "problems"
>;

async function lookInside(machine: Machine, path: string): Promise<Inside> {
  try {
    return await withDisk(machine, path, describeContent);
  } catch (error) {
    const problem = problemOf(path, error);
    const nothing: Omit<Inside, "sizeBytes"> = {
      partitionTable: UNKNOWN,
      partitions: [],
      problems: [problem],
    };
    try {
      // A damaged area does not keep the rest from being copied.
      return { ...nothing, sizeBytes: await withDisk(machine, path, sizeOfReadable) };
    } catch (atStart) {
      return { ...nothing, sizeBytes: 0, unreadable: problemOf(path, atStart) };
    }
  }
}

/** Throws if even the beginning cannot be read. */
async function sizeOfReadable(reader: DiskReader): Promise<number> {
  await reader.read(0, Math.min(SECTOR_BYTES, reader.sizeBytes));
  return reader.sizeBytes;
}

function problemOf(path: string, error: unknown): string {
  return clip(`${path}: ${error instanceof Error ? error.message : String(error)}`, 500);
}

/** Throws if the disk cannot be opened or does not answer. */
function withDisk<T>(
  machine: Machine,
  path: string,
  look: (reader: CloseableDiskReader) => Promise<T>,
): Promise<T> {
  const looking = machine.openDisk(path).then((reader) => look(reader).finally(() => reader.close()));
  return withTimeLimit(looking, ANSWER_LIMIT_MS, (): never => {
    throw new Error(`it did not answer within ${ANSWER_LIMIT_MS / 1000} s`);
  });
}

async function describeContent(reader: CloseableDiskReader): Promise<Inside> {
  const table = await readPartitionTable(reader, reader.sectorBytes);
  const partitions: Partition[] = [];
  for (const each of table.partitions.slice(0, PARTITION_LIMIT)) {
    const { number, offsetBytes, sizeBytes, type, uuid, label, bootable } = each;
    partitions.push({
      ...{ number, offsetBytes, sizeBytes, type, bootable },
      ...(uuid && { uuid }),
      ...(label && { label: clip(label) }),
      content: await contentOf(reader, each),
      mountPoints: [],
    });
  }
  return {
    sizeBytes: reader.sizeBytes,
    partitionTable: table.kind,
    ...(table.uuid && { partitionTableUuid: table.uuid }),
    partitions,
    ...(table.kind === "none" && { content: toContent(await probeContent(reader)) }),
    problems: table.problems.slice(0, 16).map((problem) => clip(problem, 500)),
  };
}

async function contentOf(
  reader: DiskReader,
  { offsetBytes, sizeBytes }: PartitionTable["partitions"][number],
): Promise<VolumeContent> {
  try {
    return toContent(await probeContent(sliceReader(reader, offsetBytes, sizeBytes)));
  } catch {
    // Beyond the disk, or unreadable: the table's problems or the capture say more.
    return { type: UNKNOWN };
  }
}

/** The content of a block device that is not a disk: a logical volume, an array. */
export async function probeDevice(machine: Machine, path: string): Promise<VolumeContent> {
  try {
    return toContent(await withDisk(machine, path, probeContent));
  } catch {
    // Inactive or unreadable: nothing more can be found out.
    return { type: UNKNOWN };
  }
}

function toContent({ type, uuid, label }: { type: string; uuid?: string; label?: string }): VolumeContent {
  return { type: clip(type), ...(uuid && { uuid: clip(uuid) }), ...(label && { label: clip(label) }) };
}

/** The name in the `os-release` of an image's ext file systems, if e2fsprogs is installed to read it. */
async function findOperatingSystem(
  machine: Machine,
  path: string,
  inside: Inside,
): Promise<string | undefined> {
  const places = [
    ...(inside.content ? [{ content: inside.content, offsetBytes: 0 }] : []),
    ...inside.partitions,
  ];
  for (const { content, offsetBytes } of places) {
    if (!/^ext[234]$/.test(content.type)) continue;
    for (const file of ["/usr/lib/os-release", "/etc/os-release"]) {
      const result = await machine.run("debugfs", "-R", `cat ${file}`, `${path}?offset=${offsetBytes}`);
      const name = /^PRETTY_NAME="?([^"\n]+)/m.exec(result?.output ?? "")?.[1];
      if (name) return clip(name);
    }
  }
  return undefined;
}

/** By the device's name and its place in the tree of devices. */
export function transportOf(kernelName: string, sysPath: string): string {
  const names: [RegExp, string][] = [
    [/^nvme/, "nvme"],
    [/^vd/, "virtio"],
    [/^xvd/, "xen"],
    [/^mmcblk/, "mmc"],
  ];
  const places: [RegExp, string][] = [
    [/\/usb\d/, "usb"],
    [/\/session\d/, "iscsi"],
    [/\/rport-/, "fc"],
    [/\/end_device-/, "sas"],
    [/\/ata\d/, "sata"],
    [/\/(?:vmbus|VMBUS)/, "hyperv"],
    [/\/virtio\d/, "virtio"],
  ];
  const byName = names.find(([pattern]) => pattern.test(basename(kernelName)))?.[1];
  return byName ?? places.find(([pattern]) => pattern.test(sysPath))?.[1] ?? UNKNOWN;
}
