import { requireAway, requireRole, requireServing } from "#shared/domain/agent.ts";
import {
  newestSoundPoint,
  newRecovery,
  type RecoveryRecord,
  recoveryHasEnded,
  recoveryInput,
} from "#shared/domain/recovery.ts";
import { WrongStateError } from "#shared/errors.ts";
import type { NewRecovery } from "#shared/protocol/recovery.ts";
import type { RecoveryPoint } from "#shared/protocol/resources.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock, Workflow } from "../ports.ts";
import type { Store } from "../store/store.ts";

interface BeginDeps {
  store: Store;
  /** `recovery`: an execution's name is its recovery's id. */
  workflow: Pick<Workflow, "start">;
  clock: Clock;
}

/**
 * Begins a recovery. It is stored first, then its workflow is started under its id, so after an interruption
 * the same request (by its `Idempotency-Key`) continues, and cancelling ends it. It needs nothing of the
 * source but its records: the source may be gone or revoked.
 */
export async function beginRecovery(
  request: NewRecovery,
  given: { id: string; sourceId: string; requestedBy: string },
  deps: BeginDeps,
): Promise<RecoveryRecord> {
  const { store, workflow } = deps;
  const recovery = (await store.recoveries.find(given.id)) ?? (await admit(request, given, deps));
  if (!recoveryHasEnded(recovery)) await workflow.start(recovery.id, recoveryInput(recovery));
  const { pointId, sourceId, targetId, network } = recovery;
  await store.audit.addOnce({
    at: recovery.createdAt,
    actor: recovery.requestedBy,
    action: "recovery-started",
    subject: recovery.id,
    outcome: "done",
    details: { pointId, sourceId, targetId, network, othersOff: request.othersOff },
  });
  return recovery;
}

/**
 * Throws `NotFoundError`, `ForbiddenError`, `InvalidInputError`, `WrongStateError` or `SourceConnectedError`
 * if it may not begin.
 */
async function admit(
  request: NewRecovery,
  { id, sourceId, requestedBy }: { id: string; sourceId: string; requestedBy: string },
  { store, clock }: BeginDeps,
): Promise<RecoveryRecord> {
  const target = requireServing(await store.agents.find(request.targetId), "target", request.targetId);
  const source = requireRole(await store.agents.find(sourceId), "source", sourceId);
  const point = await pointOf(request, sourceId, store);
  const plan = source.planId === undefined ? undefined : await store.plans.find(source.planId);
  const lease = await store.leases.get(sourceId);
  const now = timestamp(clock);
  const recovery = newRecovery(request, { id, point, source, target, plan, lease, requestedBy, now });
  if (recovery.network === "production") {
    requireAway(source, now);
    await requireAlone(sourceId, store);
  }
  return store.recoveries.add(recovery);
}

/** Two that begin in the same moment may both pass; the lease lets only one of them run. */
async function requireAlone(sourceId: string, store: Store): Promise<void> {
  const other = await store.recoveries.unendedInProduction(sourceId);
  if (other)
    throw new WrongStateError(
      `recovery ${other.id} of source ${sourceId} in production has not ended`,
      `Wait until it has, or end it with \`causeway cancel ${other.id}\`.`,
    );
}

async function pointOf({ pointId }: NewRecovery, sourceId: string, store: Store): Promise<RecoveryPoint> {
  if (pointId !== undefined) return store.points.get(pointId);
  const newest = newestSoundPoint(await store.points.ofSource(sourceId));
  if (newest) return newest;
  throw new WrongStateError(
    `source ${sourceId} has no recovery point that is neither pruned, nor known as damaged, nor known to differ from it`,
    "`causeway points SOURCE` lists its points; name one with --point.",
  );
}
