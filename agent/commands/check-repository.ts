import { boundedProblems } from "#shared/protocol/repository-check.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { checkPointsBySample, checkPointsWhole } from "../repository/points-check.ts";
import type { Repository } from "../repository/repository.ts";
import type { Executor } from "./executor.ts";

export interface CheckDeps {
  /** The repository that a check assigned to this host, for reading. */
  repository: (ownerId: string) => Promise<Repository>;
  /** At least 0, below 1. */
  random: () => number;
}

/** Checks recovery points; reads only, so it may run beside captures, prunings and collections. */
export function checkRepositoryExecutor({ repository, random }: CheckDeps): Executor<"check-repository"> {
  return async ({ ownerId, pointIds, whole }, { signal, progress }) => {
    const meter = new ProgressMeter(progress);
    const check = whole ? checkPointsWhole : checkPointsBySample;
    const { points, problems, bytesRead } = await check({
      repository: await repository(ownerId),
      pointIds,
      random,
      signal,
      onRead: (bytes) => meter.add(bytes),
    });
    return {
      points: points.map(({ pointId, verdict }) => ({ pointId, verdict })),
      problems: boundedProblems(problems),
      bytesRead,
      seconds: meter.elapsedMs / 1000,
    };
  };
}
