import * as z from "zod";
import type { LiveGroup, LivePhysicalVolume, LiveVolume, LvmState } from "./lvm.ts";

const Text = z.string().max(4096);
const Count = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
/** Names become arguments of LVM's programs, so one that begins with a dash is refused. */
const Name = z.string().regex(/^\[?[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]{0,127}\]?$/);
const words = (text: string) => text.split(",").filter((word) => word !== "");

/** The columns that are asked for, by report. */
export const COLUMNS = {
  lv: "vg_name,vg_uuid,lv_name,lv_uuid,lv_attr,lv_size,lv_layout,lv_role,lv_tags,lv_dm_path,lv_kernel_major,lv_kernel_minor",
  vg: "vg_name,vg_uuid,vg_attr,vg_extent_size,vg_free,vg_seqno",
  pv: "pv_uuid,pv_name",
} as const;

const LvRow = z
  .object({
    ...{ vg_name: Name, vg_uuid: Text, lv_name: Name, lv_uuid: Text, lv_attr: z.string().min(5).max(16) },
    ...{ lv_size: Count, lv_layout: Text, lv_role: Text, lv_tags: Text, lv_dm_path: Text },
    ...{ lv_kernel_major: Text, lv_kernel_minor: Text },
  })
  .transform((row): LiveVolume => {
    const { lv_kernel_major: major, lv_kernel_minor: minor } = row;
    // -1 if it is not active.
    const isActive = /^\d+$/.test(major) && /^\d+$/.test(minor);
    return {
      ...{ group: row.vg_name, groupUuid: row.vg_uuid, name: row.lv_name, uuid: row.lv_uuid },
      ...{ sizeBytes: row.lv_size, layout: row.lv_layout, path: row.lv_dm_path },
      ...{ roles: words(row.lv_role), tags: words(row.lv_tags) },
      isSuspended: row.lv_attr[4] === "s" || row.lv_attr[4] === "S",
      ...(isActive ? { device: `${major}:${minor}` } : {}),
    };
  });

const VgRow = z
  .object({
    ...{ vg_name: Name, vg_uuid: Text, vg_attr: z.string().length(6) },
    ...{ vg_extent_size: Count, vg_free: Count, vg_seqno: Count },
  })
  .transform((row): LiveGroup => {
    const obstacle = groupObstacle(row.vg_attr);
    return {
      ...{ name: row.vg_name, uuid: row.vg_uuid, sequence: row.vg_seqno },
      ...{ extentBytes: row.vg_extent_size, freeBytes: row.vg_free },
      ...(obstacle === undefined ? {} : { obstacle }),
    };
  });

const PvRow = z
  .object({ pv_uuid: Text, pv_name: Text })
  .transform((row): LivePhysicalVolume => ({ uuid: row.pv_uuid.replaceAll("-", ""), path: row.pv_name }));

function rowsOf<T>(kind: "lv" | "vg" | "pv", row: z.ZodType<T>) {
  return z
    .object({ report: z.array(z.record(z.string(), z.unknown())).min(1) })
    .transform(({ report }) => report.flatMap((part) => z.array(row).parse(part[kind])));
}
const LvReport = rowsOf("lv", LvRow);
const VgReport = rowsOf("vg", VgRow);
const PvReport = rowsOf("pv", PvRow);

/** What `lvs`, `vgs` and `pvs` print as JSON. Throws if it is anything else. */
export function parseReports(lvs: string, vgs: string, pvs: string): LvmState {
  return {
    volumes: LvReport.parse(JSON.parse(lvs)),
    groups: VgReport.parse(JSON.parse(vgs)),
    physicalVolumes: PvReport.parse(JSON.parse(pvs)).filter(({ uuid }) => uuid !== ""),
  };
}

/** The letters of `vg_attr`: permission, resizeable, exported, partial, allocation, clustered or shared. */
function groupObstacle(attributes: string): string | undefined {
  const [permission, , exported, partial, , shared] = attributes;
  if (permission !== "w") return "it is read-only";
  if (exported === "x") return "it is exported";
  if (partial === "p") return "one of its disks is missing";
  if (shared !== "-") return "several machines share it";
  return undefined;
}

/** What the kernel prints of a snapshot that can no longer be read as it was. */
const LOST = new Set(["Invalid", "Overflow", "Merge failed"]);

/**
 * How many sectors `dmsetup status` says that a snapshot keeps of its volume
 * (https://docs.kernel.org/admin-guide/device-mapper/snapshot.html): those in use but for its own tables.
 * `undefined` if the text is no such status.
 */
export function parseSnapshotStatus(text: string): number | "lost" | undefined {
  const [, state = ""] = /^\d+ \d+ snapshot (.+)$/.exec(text.trim()) ?? [];
  if (LOST.has(state)) return "lost";
  const [, used, metadata] = /^(\d+)\/\d+ (\d+)$/.exec(state) ?? [];
  return used === undefined || metadata === undefined ? undefined : Number(used) - Number(metadata);
}

/** So much of a snapshot's own tables is read: its header, and the first of what it keeps. */
export const TABLE_BYTES = 2 * 4096;
const MAGIC = 0x70416e53;
/** Of the snapshots that the agent makes: 4 KiB, in sectors. */
export const CHUNK_SECTORS = 8;

/**
 * Whether the only chunk of 4 KiB that a snapshot keeps is the first one of its volume, by the beginning of
 * its tables: a header, and from the second chunk on pairs of a chunk of the volume and its place
 * (https://github.com/torvalds/linux/blob/master/drivers/md/dm-snap-persistent.c).
 */
export function keepsOnlyStart(tables: Buffer): boolean {
  const [magic, chunkSectors] = [tables.readUInt32LE(0), tables.readUInt32LE(12)];
  if (magic !== MAGIC || chunkSectors !== CHUNK_SECTORS) return false;
  const pair = (at: number) => [tables.readBigUInt64LE(at), tables.readBigUInt64LE(at + 8)];
  const [[kept, place], [, next]] = [pair(CHUNK_SECTORS * 512), pair(CHUNK_SECTORS * 512 + 16)];
  return kept === 0n && place !== 0n && next === 0n;
}
