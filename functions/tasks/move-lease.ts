import * as z from "zod";
import { requireAway } from "#shared/domain/agent.ts";
import {
  begunLease,
  endingLease,
  grantedLease,
  type LeaseRecord,
  lapsedLease,
  permanentLease,
} from "#shared/domain/lease.ts";
import { keepingRecovery, type RecoveryRecord, requireRunningRecovery } from "#shared/domain/recovery.ts";
import { RecoveryId } from "#shared/protocol/ids.ts";
import { buildCommanding } from "../conversion/build.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { changeLease } from "../recovery/change-lease.ts";
import { orderFence } from "../recovery/order-fence.ts";
import { settleReturn } from "../recovery/settle-lease.ts";

export const Input = z.object({
  recoveryId: RecoveryId,
  /**
   * `take`: the machine may run by renewals, because an operator says that source and earlier machines are
   * off. `keep`: it may run permanently. `give-back`: it may not run, and the source may as soon as that is
   * sure.
   */
  action: z.enum(["take", "keep", "give-back"]),
});

export const handler = taskHandler({
  name: "tasks/move-lease",
  input: Input,
  build: buildCommanding,
  run,
});

type Action = z.output<typeof Input>["action"];

/**
 * Moves the right to run of a recovery's source by one conditional write. Repeating it changes nothing.
 * The source gets the command to fence itself, or to take its fence down, now or when it connects.
 * Returns the lease's term, and after how many whole seconds to give it back again: 0 if that is done.
 * Throws `WrongStateError` if the right is with another recovery or cutover, or is permanent and to be given
 * back, `SourceConnectedError` if the source connected after the word that it is off, and, unless it is to
 * be given back, `RecoveryCancelledError` if the recovery was cancelled.
 */
export async function run(
  { recoveryId, action }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ term: number; seconds: number }> {
  const { store, clock } = deps;
  const recovery = await store.recoveries.get(recoveryId);
  const { sourceId, requestedBy } = recovery;
  const now = timestamp(clock);
  if (action === "take") requireRunningRecovery(recovery);
  // First, so that a recovery is either cancelled or keeps production.
  if (action === "keep") await store.recoveries.modify(recoveryId, (one) => keepingRecovery(one, now));
  if (action === "take") requireAway(await store.agents.get(sourceId), recovery.createdAt);
  const actor = action === "take" ? requestedBy : "causeway";
  const moved = await changeLease(sourceId, (one) => movedLease(one, action, recovery, now), { actor }, deps);
  if (action === "give-back") return settleReturn(recovery, deps);
  const { term } = moved;
  if (action === "take") {
    await requireStillRunning(recoveryId, sourceId, deps);
    await orderFence(recoveryId, { term, isUp: true }, deps);
  }
  return { term, seconds: 0 };
}

/**
 * A recovery whose workflow was stopped can be cancelled, and end, between the look at it and the write of
 * the lease; no one would give the lease back then. The cancellation marks the recovery before it ends the
 * lease, so one of the two sees the other.
 */
async function requireStillRunning(recoveryId: string, sourceId: string, deps: CommandDeps): Promise<void> {
  const recovery = await deps.store.recoveries.get(recoveryId);
  if (recovery.state !== "running")
    await changeLease(sourceId, (one) => endingLease(one, recoveryId), { actor: "causeway" }, deps);
  requireRunningRecovery(recovery);
}

function movedLease(
  lease: LeaseRecord,
  action: Action,
  { id: ownerId, targetId, leaseBefore }: RecoveryRecord,
  now: string,
): LeaseRecord {
  switch (action) {
    case "take": {
      // One that another recovery gave back, or left, and that has lapsed since.
      const lapsed = lapsedLease(lease, now);
      // What the operator said is about the machines of that moment.
      const othersOff = lease.state === leaseBefore?.state && lease.term === leaseBefore.term;
      return grantedLease(begunLease(lapsed, { ownerId, targetId, othersOff }), ownerId, "stated");
    }
    case "keep":
      // Also if it has lapsed, in contrast to a cutover's. Until it is given back, no one else gets the
      // right, so the paused machine stays the only one, and continues when its host asks again. The source
      // may be gone, and clients may have written to the machine, so there is nothing to go back to.
      return permanentLease(lease, ownerId);
    case "give-back":
      return endingLease(lease, ownerId);
  }
}
