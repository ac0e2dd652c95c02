import { UnknownCommandError } from "#shared/errors.ts";
import type { Point } from "#shared/format/point.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { commitPoint, readPoint } from "../repository/points.ts";
import type { Repository } from "../repository/repository.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { CaptureHandover, forgetCaptures } from "./capture-disk.ts";
import type { Executor } from "./executor.ts";

export interface CommitDeps {
  repository: () => Promise<Repository>;
  dataDir: string;
  agentVersion: string;
  now: () => number;
}

/**
 * Makes captured disks visible as one recovery point. A repeated command finds the point that the first one
 * made.
 */
export function commitRecoveryPointExecutor(deps: CommitDeps): Executor<"commit-recovery-point"> {
  return async ({ conversionId, pointId, disks }) => {
    const repository = await deps.repository();
    const roots = disks.map(handoverOf);
    // The parent whose maps expire first decides, so the earliest start counts.
    const startedAt = Math.min(...roots.map((root) => root.startedAt));
    const point: Point = {
      pointId,
      sourceId: repository.sourceId,
      createdAt: new Date(deps.now()).toISOString(),
      parentId: roots.find((root) => root.parentId !== null)?.parentId ?? null,
      agentVersion: deps.agentVersion,
      disks: roots.map((root) => root.disk),
    };
    const existing = await readPoint(repository, pointId).catch((error: unknown) => {
      if (error instanceof ObjectNotFoundError) return undefined;
      throw error;
    });
    // A repeated point may differ only in its time; commitPoint refuses any other difference.
    const wanted = existing ? { ...point, createdAt: existing.createdAt } : point;
    await commitPoint(repository, wanted, { startedAt, now: deps.now() });
    await forgetCaptures(deps.dataDir, conversionId);
    return { pointId };
  };
}

/** What the capture of this disk handed over, as the workflow passed it on. */
function handoverOf({ name, sizeBytes, mapRoot }: CommandInput<"commit-recovery-point">["disks"][number]) {
  const handover = CaptureHandover.safeParse(parsed(mapRoot));
  const disk = handover.data?.disk;
  if (!handover.success || disk?.name !== name || disk.sizeBytes !== sizeBytes)
    throw new UnknownCommandError(`the result of capturing ${name} is not valid`);
  return handover.data;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
