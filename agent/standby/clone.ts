import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { copyFile, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { StandbyNotAtPointError } from "#shared/errors.ts";
import { requireRoom, writeFailure } from "../disk-image/image-file.ts";
import { findImage } from "./standby-image.ts";
import { isSameStamp, type StandbyDisk } from "./standby-record.ts";
import type { Standbys } from "./standbys.ts";

const run = promisify(execFile);

export interface CloneOptions {
  standbys: Standbys;
  planId: string;
  sourceId: string;
  /** The point that the standby must equal, and its disks. */
  pointId: string;
  disks: readonly { name: string; sizeBytes: number }[];
  /** Where the clone of a disk goes. What is there already is a clone that an earlier call finished. */
  pathOf: (disk: string) => string;
  signal?: AbortSignal;
}

/** What was cloned; the images are durable. */
export interface Cloned {
  /**
   * `reflink`: the file system keeps shared blocks once, until either file changes. `kept`: an earlier call
   * had made all clones.
   */
  method: "reflink" | "copy" | "kept";
  bytesWritten: number;
}

/**
 * Clones the images of a standby. No point is applied meanwhile, and a clone is a file of its own: later
 * points do not change it. Throws `StandbyNotAtPointError` for a standby that does not equal the point, or
 * that another program has changed; `StandbyBusyError`; `DiskFullError`.
 */
export function cloneStandby(options: CloneOptions): Promise<Cloned> {
  const { standbys, planId } = options;
  return standbys.exclusively(planId, async () => {
    const disks = await disksAtPoint(options);
    const cloned: Cloned = { method: "kept", bytesWritten: 0 };
    for (const disk of disks) {
      const [from, to] = [standbys.pathOf(planId, disk.name), options.pathOf(disk.name)];
      if (await findImage(to)) continue;
      const bytesCopied = await cloneFile(from, to, options.signal);
      if (cloned.method !== "copy") cloned.method = bytesCopied === undefined ? "reflink" : "copy";
      cloned.bytesWritten += bytesCopied ?? 0;
      await requireUnchanged(options, disk);
      await rename(`${to}.partial`, to);
      await syncFolder(dirname(to));
    }
    return cloned;
  });
}

async function disksAtPoint(options: CloneOptions): Promise<StandbyDisk[]> {
  const { standbys, planId, sourceId, pointId } = options;
  const refuse = (why: string) => new StandbyNotAtPointError(planId, why);
  const record = await standbys.read(planId);
  if (!record || record.sourceId !== sourceId) throw refuse("this host has none of this source");
  if (record.applying.length > 0) throw refuse("the application of a recovery point was interrupted");
  if (record.pointId !== pointId) throw refuse(`it equals the point ${record.pointId}, not ${pointId}`);
  const has = listed(record.disks.flatMap(({ holds }) => holds ?? []));
  if (has !== listed(options.disks)) throw refuse(`it has ${has}; wanted are ${listed(options.disks)}`);
  for (const disk of record.disks) await requireUnchanged(options, disk);
  return record.disks;
}

function listed(disks: CloneOptions["disks"]): string {
  const each = disks.map(({ name, sizeBytes }) => `${name} of ${sizeBytes} bytes`);
  return each.sort().join(", ");
}

async function requireUnchanged({ standbys, planId }: CloneOptions, disk: StandbyDisk): Promise<void> {
  const found = await findImage(standbys.pathOf(planId, disk.name));
  if (found?.isFile && isSameStamp(disk.stamp, found.stamp)) return;
  throw new StandbyNotAtPointError(planId, `its image of ${disk.name} was changed by another program`);
}

/** Writes `TO.partial`. Returns the bytes it takes; `undefined` if it shares them with the original. */
async function cloneFile(from: string, to: string, signal?: AbortSignal): Promise<number | undefined> {
  const partial = `${to}.partial`;
  await rm(partial, { force: true });
  if (await reflink(from, partial)) return syncFile(partial, to).then(() => undefined);
  const { allocatedBytes = 0 } = (await findImage(from)) ?? {};
  await requireRoom(dirname(to), allocatedBytes);
  try {
    const args = ["--sparse=always", "--reflink=never", "--no-dereference", "--", from, partial];
    await run("cp", args, { signal });
    await syncFile(partial, to);
  } catch (error) {
    await rm(partial, { force: true });
    throw isFull(error) ? await writeFailure(to, { code: "ENOSPC" }, allocatedBytes) : error;
  }
  return (await findImage(partial))?.allocatedBytes ?? 0;
}

/** Whether the file system cloned the file. Where it cannot, there is nothing under the new name. */
async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    await rm(to, { force: true });
    if (NO_REFLINK.includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
/** Answers of ext4, of two file systems, of old kernels, and of btrfs for a file without copy-on-write. */
const NO_REFLINK = ["ENOTSUP", "EOPNOTSUPP", "EXDEV", "ENOTTY", "ENOSYS", "EINVAL"];

function isFull(error: unknown): boolean {
  const { code, stderr = "" } = error as { code?: unknown; stderr?: string };
  return code === "ENOSPC" || /No space left|Disk quota exceeded/.test(stderr);
}

async function syncFile(path: string, to: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync().catch(async (error: unknown) => {
    throw await writeFailure(to, error, 1);
  });
}
