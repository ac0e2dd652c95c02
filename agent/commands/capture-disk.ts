import { mkdir, rm } from "node:fs/promises";
import { z } from "zod";
import { DiskNotFoundError } from "#shared/errors.ts";
import { PointDisk } from "#shared/format/point.ts";
import { captureDisk } from "../capture/capture.ts";
import { copyViewOf } from "../capture/copy-view.ts";
import { FileJournal } from "../capture/journal.ts";
import { openDisk } from "../disk/disk-source.ts";
import type { DiskUsage } from "../filesystems/disk-usage.ts";
import { insideFolder } from "../machine/inside-folder.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { listPoints, readPoint } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import { createRateLimit } from "../store/rate-limit.ts";
import type { Executor } from "./executor.ts";

/** A disk that this agent can read. */
export interface LocalDisk {
  name: string;
  path: string;
  /** Whether nothing writes to it, so that what its file systems mark as free can be trusted. */
  consistent: boolean;
}

export interface CaptureDeps {
  disks: () => Promise<LocalDisk[]>;
  repository: () => Promise<Repository>;
  /** Finds the free space of a disk that nothing writes to. */
  usage: (disk: LocalDisk) => Promise<DiskUsage>;
  /** For the journals of captures. */
  dataDir: string;
  now: () => number;
  random: () => number;
}

/** What the commit needs from a capture; travels through the workflow. */
export const CaptureHandover = z.object({
  disk: PointDisk,
  parentId: z.string().nullable(),
  startedAt: z.number(),
});

const capturesDir = (dataDir: string, conversionId: string): string =>
  insideFolder(dataDir, "captures", conversionId);

/** Deletes the capture journals of a conversion. */
export async function forgetCaptures(dataDir: string, conversionId: string): Promise<void> {
  await rm(capturesDir(dataDir, conversionId), { recursive: true, force: true });
}

/**
 * Reads one disk into the repository, based on the newest recovery point that has it. Continues where an
 * interrupted capture stopped.
 */
export function captureDiskExecutor(deps: CaptureDeps): Executor<"capture-disk"> {
  return async (input, { signal, progress }) => {
    const local = (await deps.disks()).find((disk) => disk.name === input.disk);
    if (!local) throw new DiskNotFoundError(input.disk);
    const repository = await deps.repository();
    const parent = await newestPoint(repository, local.name);
    const usage = local.consistent && !input.allBlocks ? await deps.usage(local) : undefined;
    const view = copyViewOf({ isStill: local.consistent, usage });
    const folder = capturesDir(deps.dataDir, input.conversionId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const source = await openDisk(local.path);
    try {
      const {
        disk: mapped,
        startedAt,
        statistics,
      } = await captureDisk({
        repository,
        disk: source,
        diskName: local.name,
        ...(usage ? { used: usage.used } : {}),
        ...(parent ? { previous: parent.disk } : {}),
        journal: new FileJournal(insideFolder(folder, `${local.name}.journal`)),
        ...(input.bandwidthLimitBytesPerSecond
          ? {
              pace: createRateLimit({
                bytesPerSecond: input.bandwidthLimitBytesPerSecond,
                now: () => performance.now(),
              }),
            }
          : {}),
        meter: new ProgressMeter(progress),
        signal,
        now: deps.now,
        random: deps.random,
      });
      const disk = { ...mapped, ...view };
      const root: z.infer<typeof CaptureHandover> = { disk, parentId: parent?.pointId ?? null, startedAt };
      return {
        disk: { name: disk.name, sizeBytes: disk.sizeBytes, mapRoot: JSON.stringify(root) },
        bytesRead: statistics.bytesRead + statistics.bytesResumed,
        bytesStored: statistics.bytesStored,
        badRanges: disk.badRanges,
        consistency: disk.consistency,
        wholeCopies: disk.wholeCopies,
        seconds: statistics.elapsedMs / 1000,
        bottleneck: statistics.limitingStage,
      };
    } finally {
      await source.close();
    }
  };
}

/** Ids sort by time, so the newest comes last. */
async function newestPoint(
  repository: Repository,
  diskName: string,
): Promise<{ pointId: string; disk: PointDisk } | undefined> {
  for (const pointId of (await listPoints(repository)).sort().reverse()) {
    const disk = (await readPoint(repository, pointId)).disks.find(
      (candidate) => candidate.name === diskName,
    );
    if (disk) return { pointId, disk };
  }
  return undefined;
}
