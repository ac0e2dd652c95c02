import { DamagedObjectError } from "#shared/format/errors.ts";
import { pointKey, prunedKey } from "#shared/format/object-keys.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { checkRepository, type RepositoryFinding } from "./check.ts";
import { type SampleSize, sampleDisk } from "./point-sample.ts";
import { readPoint } from "./points.ts";
import type { Repository } from "./repository.ts";

export interface CheckedPoint {
  pointId: string;
  /** `gone`: it was pruned and collected. */
  verdict: "sound" | "damaged" | "gone";
  /** What is damaged, in words. */
  detail?: string;
}

export interface PointsReport {
  /** In the order of the request. */
  points: CheckedPoint[];
  /** What is wrong with the repository, in words, each object once. */
  problems: string[];
  bytesRead: number;
}

export interface PointsCheck {
  repository: Repository;
  /** Recovery points that must be there. */
  pointIds: readonly string[];
  random: () => number;
  signal?: AbortSignal | undefined;
  /** Called as bytes are read, with how many they were. */
  onRead?: (bytes: number) => void;
}

/** At most 16 MiB of a disk. */
const SAMPLE: SampleSize = { leaves: 8, units: 8 };

/** Reads a sample of each disk of these recovery points. Never throws because of damage: that is reported. */
export async function checkPointsBySample(check: PointsCheck): Promise<PointsReport> {
  const { repository, pointIds, random, signal, onRead } = check;
  const report: PointsReport = { points: [], problems: [], bytesRead: 0 };
  for (const pointId of pointIds) {
    signal?.throwIfAborted();
    try {
      const { disks } = await readPoint(repository, pointId);
      for (const disk of disks) {
        const { bytesRead } = await sampleDisk({ repository, disk, size: SAMPLE, random, signal });
        report.bytesRead += bytesRead;
        onRead?.(bytesRead);
      }
      report.points.push({ pointId, verdict: "sound" });
    } catch (error) {
      report.points.push(await judged(repository, pointId, error));
    }
  }
  report.problems = [...new Set(report.points.flatMap(({ detail }) => detail ?? []))];
  return report;
}

/**
 * Reads everything under the source's prefix, as `causeway repo check` does, and says of each recovery point
 * whether something that it needs is damaged. Problems are also what concerns no point.
 */
export async function checkPointsWhole(check: PointsCheck): Promise<PointsReport> {
  const { repository, pointIds, signal, onRead } = check;
  let before = 0;
  const { findings, bytes } = await checkRepository({
    repository,
    ...(signal ? { signal } : {}),
    onProgress: ({ bytesChecked }) => {
      onRead?.(bytesChecked - before);
      before = bytesChecked;
    },
  });
  const points: CheckedPoint[] = [];
  for (const pointId of pointIds) {
    const found = findings.find(({ affects }) => affects.some((each) => each.pointId === pointId));
    points.push(
      found
        ? { pointId, verdict: "damaged", detail: inWords(found) }
        : await whetherThere(repository, pointId),
    );
  }
  const missing = points.flatMap(({ detail }) => detail ?? []);
  return { points, problems: [...new Set([...findings.map(inWords), ...missing])], bytesRead: bytes };
}

function inWords({ object, problem, detail }: RepositoryFinding): string {
  return detail.includes(object) ? detail : `${object} is ${problem}: ${detail}`;
}

/** A point that was listed in no finding may not have been listed at all. */
async function whetherThere(repository: Repository, pointId: string): Promise<CheckedPoint> {
  try {
    await readPoint(repository, pointId);
    return { pointId, verdict: "sound" };
  } catch (error) {
    return judged(repository, pointId, error);
  }
}

/** Collect-garbage deletes a pruned point before its packs, so what is then missing is no damage. */
async function judged(repository: Repository, pointId: string, error: unknown): Promise<CheckedPoint> {
  const isMissing = error instanceof ObjectNotFoundError || isMissingPart(error);
  if (!isMissing && !(error instanceof DamagedObjectError)) throw error;
  if (isMissing && (await wasCollected(repository, pointId))) return { pointId, verdict: "gone" };
  return { pointId, verdict: "damaged", detail: error.message };
}

function isMissingPart(error: unknown): error is DamagedObjectError {
  return error instanceof DamagedObjectError && error.cause instanceof ObjectNotFoundError;
}

async function wasCollected({ store, sourceId }: Repository, pointId: string): Promise<boolean> {
  const exists = async (key: string) => {
    try {
      await store.get(key);
      return true;
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return false;
      throw error;
    }
  };
  return !(await exists(pointKey(sourceId, pointId))) && exists(prunedKey(sourceId, pointId));
}
