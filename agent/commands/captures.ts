import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { bandwidthClock } from "#shared/domain/protection/bandwidth.ts";
import { DiskNotFoundError } from "#shared/errors.ts";
import { type MappedDisk, type Point, PointDisk } from "#shared/format/point.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { captureDisk } from "../capture/capture.ts";
import type { CaptureOptions, CaptureStatistics } from "../capture/capture-options.ts";
import { FileJournal } from "../capture/journal.ts";
import type { DiskView, LocalDisk, Reading, ViewKinds } from "../consistency/consistent-view.ts";
import { insideFolder } from "../machine/inside-folder.ts";
import type { ParentDisk } from "../repository/newest-disks.ts";
import { commitPoint } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import type { Pace } from "../store/object-store.ts";
import { createRateLimit } from "../store/rate-limit.ts";

/** What commands that capture disks use. */
export interface CaptureDeps {
  disks: () => Promise<LocalDisk[]>;
  repository: () => Promise<Repository>;
  views: ViewKinds;
  /** For the journals of captures. */
  dataDir: string;
  agentVersion: string;
  /** How many requests the repository's store has sent so far. */
  requests: () => number;
  now: () => number;
  random: () => number;
}

/** What the commit needs from a capture. */
export const CaptureHandover = z.object({
  disk: PointDisk,
  parentId: z.string().nullable(),
  startedAt: z.number(),
});
export type CaptureHandover = z.infer<typeof CaptureHandover>;

export interface Captured extends CaptureHandover {
  statistics: CaptureStatistics;
}

/** A disk as the readings of its view so far have it. */
export interface ReadDisk extends Omit<Captured, "disk"> {
  disk: MappedDisk;
}

type Bandwidth = Pick<CommandInput<"take-recovery-point">, "bandwidthLimitBytesPerSecond" | "bandwidthHours">;
type ReadOptions = Pick<CaptureOptions, "repository" | "pace" | "meter" | "signal">;

/** The folder for what captures of an owner leave for the next attempt. */
export async function openCapturesFolder(dataDir: string, ownerId: string): Promise<string> {
  const folder = capturesFolder(dataDir, ownerId);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Deletes the journals of these disks, which nothing continues any more. */
export async function forgetJournals(folder: string, disks: readonly string[]): Promise<void> {
  for (const disk of disks) await rm(journalPath(folder, disk), { force: true });
}

const journalPath = (folder: string, disk: string): string => insideFolder(folder, `${disk}.journal`);

/** Deletes what captures of an owner left. */
export async function forgetCaptures(dataDir: string, ownerId: string): Promise<void> {
  await rm(capturesFolder(dataDir, ownerId), { recursive: true, force: true });
}

/** Deletes what captures of other owners left, except for the newest. */
export async function forgetOldCaptures(dataDir: string, ownerId: string): Promise<void> {
  const all = join(dataDir, "captures");
  const folders: { path: string; changedMs: number }[] = [];
  for (const name of await readdir(all).catch(() => [])) {
    const path = insideFolder(all, name);
    if (name !== ownerId) folders.push({ path, changedMs: (await stat(path)).mtimeMs });
  }
  folders.sort((a, b) => b.changedMs - a.changedMs);
  for (const { path } of folders.slice(OWNERS_KEPT)) await rm(path, { recursive: true, force: true });
}

/** Far more than can still be repeated: an agent runs one command at a time. */
const OWNERS_KEPT = 32;

const capturesFolder = (dataDir: string, ownerId: string): string =>
  insideFolder(dataDir, "captures", ownerId);

/** The disks of these names, in this order. Throws `DiskNotFoundError` for one that does not exist. */
export async function findDisks(deps: CaptureDeps, names: readonly string[]): Promise<LocalDisk[]> {
  const all = await deps.disks();
  return names.map((name) => {
    const disk = all.find((candidate) => candidate.name === name);
    if (!disk) throw new DiskNotFoundError(name);
    return disk;
  });
}

/** Slows uploads to the limit that is in force at each time, by this machine's clock. */
export function paceOf(
  { bandwidthLimitBytesPerSecond, bandwidthHours }: Bandwidth,
  { now }: Pick<CaptureDeps, "now">,
): { pace?: Pace } {
  if (bandwidthLimitBytesPerSecond === undefined && bandwidthHours === undefined) return {};
  const limitAt = bandwidthHours && bandwidthClock({ ...bandwidthHours, bandwidthLimitBytesPerSecond });
  const bytesPerSecond = () => (limitAt ? limitAt(now()) : bandwidthLimitBytesPerSecond);
  return { pace: createRateLimit({ bytesPerSecond, now: () => performance.now() }) };
}

/** Reads one disk of a view into the repository. Continues where an interrupted reading stopped. */
export async function readDisk(
  { now, random }: Pick<CaptureDeps, "now" | "random">,
  view: DiskView,
  options: ReadOptions & { parent: ParentDisk | undefined; folder: string },
): Promise<ReadDisk> {
  const { parent, folder, ...rest } = options;
  const read = await captureDisk({
    ...rest,
    ...partOf(view),
    diskName: view.name,
    view: view.content,
    isLive: view.isLive ?? false,
    ...(parent ? { previous: parent.disk } : {}),
    journal: new FileJournal(journalPath(folder, view.name)),
    ...{ now, random },
  });
  return { ...read, parentId: parent?.pointId ?? null };
}

/** Reads a part of a disk again, on top of what was read of it before. */
export async function readDiskAgain(
  { now, random }: Pick<CaptureDeps, "now" | "random">,
  before: ReadDisk,
  reading: Reading,
  options: ReadOptions,
): Promise<ReadDisk> {
  const { disk, statistics } = await captureDisk({
    ...options,
    ...partOf(reading),
    diskName: before.disk.name,
    previous: before.disk,
    isLive: true,
    settings: { sample: { fraction: 0, maxBytes: 0 } },
    ...{ now, random },
  });
  return { ...before, disk, statistics: sumOf(before.statistics, statistics) };
}

type Part = Pick<CaptureOptions, "disk" | "used" | "changed" | "isPartial">;

function partOf({ source, used, changes, isPartial = false }: Reading): Part {
  return {
    ...{ disk: source, isPartial },
    ...(used ? { used } : {}),
    ...("unknown" in changes ? {} : { changed: changes }),
  };
}

/** What both cost. The rest is that of the first, which did most of the work. */
function sumOf(first: CaptureStatistics, again: CaptureStatistics): CaptureStatistics {
  return {
    ...first,
    bytesRead: first.bytesRead + again.bytesRead,
    bytesStored: first.bytesStored + again.bytesStored,
    packsStored: first.packsStored + again.packsStored,
    changedBytes: first.changedBytes + again.changedBytes,
    elapsedMs: first.elapsedMs + again.elapsedMs,
  };
}

/** The disk for a recovery point, with what the view says of its copy. */
export async function finishDisk(view: DiskView, read: ReadDisk): Promise<Captured> {
  return { ...read, disk: { ...read.disk, ...(await view.copy()) } };
}

/**
 * Makes captured disks visible as one recovery point. Repeated, it finds the point that the first call made;
 * throws `PointExistsError` if that is another one.
 */
export async function commitCaptures(
  { agentVersion, now }: Pick<CaptureDeps, "agentVersion" | "now">,
  repository: Repository,
  { pointId, captures }: { pointId: string; captures: readonly CaptureHandover[] },
): Promise<void> {
  const point: Point = {
    pointId,
    sourceId: repository.sourceId,
    createdAt: new Date(now()).toISOString(),
    parentId: captures.find(({ parentId }) => parentId !== null)?.parentId ?? null,
    agentVersion,
    disks: captures.map(({ disk }) => disk),
  };
  // The parent whose maps expire first decides, so the earliest start counts.
  const startedAt = Math.min(...captures.map((one) => one.startedAt));
  await commitPoint(repository, point, { startedAt, now: now() });
}
