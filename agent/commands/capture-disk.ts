import { withBestView } from "../consistency/open-view.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { newestDisks } from "../repository/newest-disks.ts";
import { listPoints } from "../repository/points.ts";
import {
  type CaptureDeps,
  type CaptureHandover,
  findDisks,
  finishDisk,
  openCapturesFolder,
  paceOf,
  readDisk,
} from "./captures.ts";
import type { Executor } from "./executor.ts";

/**
 * Reads one disk into the repository, based on the newest recovery point that has it. Continues where an
 * interrupted capture stopped. What the commit needs travels through the workflow.
 */
export function captureDiskExecutor(deps: CaptureDeps): Executor<"capture-disk"> {
  return async (input, { signal, progress }) => {
    const disks = await findDisks(deps, [input.disk]);
    const repository = await deps.repository();
    const parents = await newestDisks(repository, await listPoints(repository), [input.disk]);
    const folder = await openCapturesFolder(deps.dataDir, input.conversionId);
    const { still, inconsistent } = deps.views;
    const request = { ...input, allowInconsistent: true, parents };
    return withBestView(disks, { still, inconsistent }, request, async (view) => {
      const [seen] = view.disks;
      if (!seen) throw new RangeError("the view has no disk");
      const read = await readDisk(deps, seen, {
        ...{
          repository,
          parent: parents.get(input.disk),
          folder,
          signal,
          meter: new ProgressMeter(progress),
        },
        ...paceOf(input, deps),
      });
      const { statistics, ...handover } = await finishDisk(seen, read);
      const { disk } = handover;
      const mapRoot = JSON.stringify(handover satisfies CaptureHandover);
      return {
        disk: { name: disk.name, sizeBytes: disk.sizeBytes, mapRoot },
        bytesRead: statistics.bytesRead + statistics.bytesResumed,
        bytesStored: statistics.bytesStored,
        badRanges: disk.badRanges,
        consistency: disk.consistency,
        wholeCopies: disk.wholeCopies,
        seconds: statistics.elapsedMs / 1000,
        bottleneck: statistics.limitingStage,
      };
    });
  };
}
