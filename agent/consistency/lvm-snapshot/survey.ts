import { totalBytes } from "#shared/domain/extents.ts";
import { type DiskSource, openDisk } from "../../disk/disk-source.ts";
import { contentTypesOf } from "../../filesystems/device-content.ts";
import type { LvmPhysicalVolume } from "../../filesystems/lvm-volume.ts";
import { isTable } from "../../filesystems/signatures/signature-table.ts";
import { readerOf } from "../../filesystems/source-reader.ts";
import type { LocalDisk } from "../consistent-view.ts";
import { type DiskLayout, metadataOn, readDiskLayout, type VolumeOnDisk, volumesOn } from "./disk-layout.ts";
import { type LiveVolume, type LvmState, SNAPSHOT_TAG } from "./lvm.ts";
import { obstacleOutside, type Users } from "./outside.ts";
import { type KernelPartition, readPartitions } from "./partitions.ts";

/** What this machine's volumes are, and what uses them. */
export interface Facts extends Users {
  state: LvmState;
  /** Devices that are mounted. */
  mounted: ReadonlySet<string>;
  /** Those of them with a file system that is whole after a freeze. */
  freezable: ReadonlySet<string>;
  /** Those of them whose file system marks itself as in use when it is thawed. */
  marking: ReadonlySet<string>;
}

/** A disk that can be read by snapshots of its logical volumes. */
export interface SurveyedDisk {
  disk: LocalDisk;
  /** As in /sys. */
  device: string;
  layout: DiskLayout;
  volumes: readonly { onDisk: VolumeOnDisk; live: LiveVolume }[];
  /** Partitions that are no physical volumes, and are read directly. */
  direct: readonly KernelPartition[];
}

/** LVM's metadata is kept in memory. It has 1 MiB unless an administrator chose otherwise. */
const MOST_METADATA_BYTES = 32 * 2 ** 20;
/**
 * What may be seen twice on a machine. A second btrfs, member of an array or physical volume with the same
 * identity could be taken for the first one by the kernel or by udev.
 */
const HARMLESS = new Set(["ext2", "ext3", "ext4", "xfs", "vfat", "ntfs", "swap", "crypto_LUKS"]);

/** Looks at a disk. Returns why it cannot be read by snapshots, in words, if it cannot. */
export async function surveyDisk(
  disk: LocalDisk,
  facts: Facts,
): Promise<SurveyedDisk | { obstacle: string }> {
  const device = await facts.tree.numberOf(disk.path);
  if (device === undefined) return { obstacle: "it is no block device" };
  let source: DiskSource | undefined;
  try {
    source = await openDisk(disk.path);
    const layout = await readDiskLayout(readerOf(source), source.sectorBytes);
    return await judge({ disk, device, layout }, facts);
  } catch (error) {
    return { obstacle: error instanceof Error ? error.message : String(error) };
  } finally {
    await source?.close();
  }
}

async function judge(
  found: Pick<SurveyedDisk, "disk" | "device" | "layout">,
  facts: Facts,
): Promise<SurveyedDisk | { obstacle: string }> {
  const { device, layout } = found;
  if (layout.parts.every(({ physicalVolume }) => !physicalVolume)) return { obstacle: "it has no LVM" };
  if (totalBytes(metadataOn(layout)) > MOST_METADATA_BYTES)
    return { obstacle: "its LVM metadata is too large" };
  const partitions = await readPartitions(device);
  for (const { number, physicalVolume } of layout.parts) {
    const own = number === undefined ? device : partitions.find((one) => one.number === number)?.device;
    const obstacle = physicalVolume && (await obstacleOfPhysicalVolume(physicalVolume, own, facts));
    if (obstacle !== undefined) return { obstacle };
  }
  const volumes: { onDisk: VolumeOnDisk; live: LiveVolume }[] = [];
  for (const onDisk of volumesOn(layout)) {
    const live = facts.state.volumes.find(({ uuid }) => uuid === onDisk.uuid);
    const obstacle = await obstacleOfVolume(onDisk, live, facts.state);
    if (live === undefined || obstacle !== undefined) return { obstacle: obstacle ?? "" };
    volumes.push({ onDisk, live });
  }
  const active = new Set(volumes.flatMap(({ live }) => live.device ?? []));
  const outside = await obstacleOutside(device, active, facts);
  if (outside !== undefined) return { obstacle: outside };
  const physical = new Set(layout.parts.flatMap((part) => (part.physicalVolume ? [part.number] : [])));
  return { ...found, volumes, direct: partitions.filter(({ number }) => !physical.has(number)) };
}

/** `device`: where the disk's own table has it. */
async function obstacleOfPhysicalVolume(
  { uuid, group, groupName }: LvmPhysicalVolume,
  device: string | undefined,
  { state, tree }: Facts,
): Promise<string | undefined> {
  const live = state.groups.find((one) => one.uuid === group.uuid);
  const physical = state.physicalVolumes.find((one) => one.uuid === uuid);
  if (!live || !physical) return `LVM does not use its volume group ${groupName}`;
  if (live.obstacle !== undefined) return `its volume group ${groupName} cannot be changed: ${live.obstacle}`;
  // With several paths to a disk, or a copy of it, LVM uses one of them.
  if (device === undefined || (await tree.numberOf(physical.path)) !== device)
    return `LVM uses ${physical.path} in its place`;
  if (live.sequence !== group.sequence)
    return `its LVM metadata is not that of its volume group ${groupName}`;
  return undefined;
}

async function obstacleOfVolume(
  { groupName, name, segments }: VolumeOnDisk,
  live: LiveVolume | undefined,
  { volumes }: LvmState,
): Promise<string | undefined> {
  const words = `its logical volume ${groupName}/${name}`;
  if (!live) return `LVM does not know ${words}`;
  const isSnapshot = live.roles.includes("snapshot");
  // LVM's report does not say which snapshot an origin has.
  const candidates = isSnapshot ? [live] : volumes.filter(({ groupUuid }) => groupUuid === live.groupUuid);
  const own = candidates.find(isOwnSnapshot);
  if (own && (isSnapshot || live.roles.includes("origin")))
    return `Causeway's own snapshot ${own.group}/${own.name} is still there: LVM may not have finished`;
  if (isSnapshot || live.roles.includes("origin")) return `${words} is a snapshot, or has one already`;
  if (!segments || live.layout !== "linear")
    return `${words} is of a kind that was not tried (${live.layout})`;
  if (live.isSuspended) return `${words} is suspended`;
  if (live.device === undefined) return undefined;
  const content = await contentTypesOf(live.path);
  const doubtful = content.find((type) => !HARMLESS.has(type) && !isTable(type));
  return doubtful && `${words} holds ${doubtful}, which must not be seen twice`;
}

const isOwnSnapshot = ({ roles, tags }: LiveVolume): boolean =>
  roles.includes("snapshot") && tags.includes(SNAPSHOT_TAG);
