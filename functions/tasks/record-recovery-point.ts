import * as z from "zod";
import { WrongStateError } from "#shared/errors.ts";
import { OwnerId } from "#shared/protocol/ids.ts";
import { DiskOfPoint, FreezeShown, TakenDisk } from "#shared/protocol/taken-point.ts";
import { buildAlarming } from "../alarm/build.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { reportTracker } from "../alarm/tracker-wrong.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({
  ownerId: OwnerId,
  disks: z
    .array(DiskOfPoint.extend(TakenDisk.pick({ mode: true, trackerDisagreements: true }).partial().shape))
    .min(1),
  // Not from the command's record: the workflow has the result before that is marked.
  ...FreezeShown.pick({ hooks: true, frozen: true }).shape,
});

export const handler = taskHandler({
  name: "tasks/record-recovery-point",
  input: Input,
  build: buildAlarming,
  run,
});

/**
 * Records the recovery point that the source has committed to the repository, with the control plane's time.
 * Retention counts only the points recorded here, so a source cannot displace one with false points or false
 * times. Raises an alarm if the source's tracker was wrong. Repeating it changes nothing.
 */
export async function run(
  { ownerId, disks, hooks, frozen }: z.output<typeof Input>,
  deps: ReportDeps,
): Promise<{ pointId: string }> {
  const { store, clock } = deps;
  const owner = await store.owners.get(ownerId);
  const { pointId, sourceId, madeBy } = owner;
  if (pointId === undefined) throw new WrongStateError(`${ownerId} makes no recovery point`);
  await store.points.add({
    ...{ id: pointId, sourceId, ...madeBy, createdAt: timestamp(clock) },
    bytesStored: disks.reduce((sum, disk) => sum + disk.bytesStored, 0),
    disks: disks.map(({ name, sizeBytes, badRanges, consistency, wholeCopies }) => ({
      ...{ name, sizeBytes, badRanges, consistency, wholeCopies },
    })),
    ...(hooks && { hooks }),
    ...(frozen && { frozen }),
  });
  const { createdAt } = await store.points.get(pointId);
  await store.owners.pointRecorded(ownerId);
  await store.audit.addOnce({
    at: createdAt,
    actor: sourceId,
    action: "recovery-point-created",
    subject: pointId,
    outcome: "done",
    details: { ...madeBy, badRanges: disks.reduce((sum, disk) => sum + disk.badRanges, 0) },
  });
  await reportTracker({ sourceId, pointId, disks }, deps);
  return { pointId };
}
