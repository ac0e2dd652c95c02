import { requireServing } from "#shared/domain/agent.ts";
import { type DrillRecord, drillHasEnded, drillInput, newDrill } from "#shared/domain/drill.ts";
import type { NewDrill } from "#shared/protocol/drill.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock, Workflow } from "../ports.ts";
import type { Store } from "../store/store.ts";

export interface DrillOrder {
  id: string;
  pointId: string;
  requestedBy: string;
  /** The plan whose schedule begins it. */
  planId?: string | undefined;
}

export interface BeginDeps {
  store: Store;
  /** `drill`: an execution's name is its drill's id. */
  workflow: Pick<Workflow, "start">;
  clock: Clock;
}

/**
 * Begins a drill. It is stored first, then its workflow is started under its id, so after an interruption the
 * same request (by its `Idempotency-Key`) continues, and cancelling ends it. It does not hold the source: it
 * reads the repository, and at most files of the source.
 */
export async function beginDrill(
  request: NewDrill,
  given: DrillOrder,
  deps: BeginDeps,
): Promise<DrillRecord> {
  const { store, workflow } = deps;
  const drill = (await store.drills.find(given.id)) ?? (await admit(request, given, deps));
  if (!drillHasEnded(drill)) await workflow.start(drill.id, drillInput(drill));
  await store.audit.addOnce({
    at: drill.createdAt,
    actor: drill.requestedBy,
    action: "drill-started",
    subject: drill.id,
    outcome: "done",
    details: { pointId: drill.pointId, sourceId: drill.sourceId, targetId: drill.targetId },
  });
  return drill;
}

/** Throws `NotFoundError`, `ForbiddenError` or `WrongStateError` if it may not begin. */
async function admit(
  request: NewDrill,
  { id, pointId, requestedBy, planId }: DrillOrder,
  { store, clock }: BeginDeps,
): Promise<DrillRecord> {
  requireServing(await store.agents.find(request.targetId), "target", request.targetId);
  const point = await store.points.get(pointId);
  const source = await store.agents.get(point.sourceId);
  return store.drills.add(
    newDrill(request, { id, point, source, requestedBy, planId, now: timestamp(clock) }),
  );
}
