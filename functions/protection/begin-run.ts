import { held, released, requireServing } from "#shared/domain/agent.ts";
import { newId } from "#shared/domain/id.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import { newRun, type RunRecord, runHasEnded, runInput, skippedRun } from "#shared/domain/protection/run.ts";
import { ForbiddenError, NotFoundError, WrongStateError } from "#shared/errors.ts";
import { RunId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { ABANDONED_AFTER_MS, staleHolder } from "../conversion/stale-holder.ts";
import { cutoverUnderWay } from "../cutover/cutover-under-way.ts";
import { machineInPlace } from "../recovery/machine-in-place.ts";
import { abandonRun } from "./abandon-run.ts";
import type { ProtectionDeps } from "./deps.ts";
import { reportRun } from "./report-run.ts";

export interface RunRequest {
  /** Milliseconds since 1970. */
  dueAt: number;
  trigger: RunRecord["trigger"];
  requestedBy: string;
  /** The cutover that has restarted the source into its boot environment, if one did. */
  restartedBy?: string | undefined;
}

/**
 * Begins a plan's run. There is no transaction over the table and the workflow, so the order matters, and
 * each step may be repeated: after an interruption between any two, the next call with the same due time
 * continues.
 *
 * 1. The run is stored under an id made of plan and due time, so of two ticks the second finds it.
 * 2. It holds its source. If a conversion or an earlier run holds the source, the run is skipped, with the
 *    reason.
 * 3. The workflow is started under the run's id, so a second start is refused.
 */
export async function beginRun(
  plan: PlanRecord,
  request: RunRequest,
  deps: ProtectionDeps,
): Promise<RunRecord> {
  const { store, workflow } = deps;
  const run = await prepareRun(plan, request, deps);
  if (runHasEnded(run)) return run;
  const outcome = await workflow.start(run.id, runInput(run));
  // It was started before, and has ended: then it does not hold the source again.
  const current = outcome === "exists" ? await store.runs.get(run.id) : run;
  if (runHasEnded(current)) await store.agents.modify(run.sourceId, (one) => released(one, run.id));
  return current;
}

/** Steps 1 and 2. A cutover starts the workflow itself, and waits for it. */
export async function prepareRun(
  plan: PlanRecord,
  request: RunRequest,
  deps: ProtectionDeps,
): Promise<RunRecord> {
  const { store, clock, random } = deps;
  const source = await store.agents.get(plan.sourceId);
  const run = await store.runs.add(
    newRun(plan, {
      ...request,
      source,
      pointId: newId("rp", clock.now(), random(10)),
      now: timestamp(clock),
    }),
  );
  if (runHasEnded(run)) return run;
  const given = run.trigger === "cutover" ? undefined : await whoHasTheSource(plan, deps);
  const obstacle = given ?? (await findObstacle(run, deps));
  return obstacle === undefined ? run : skip(plan, run, obstacle, deps);
}

/** Why a plan begins no run by itself; `undefined` if it may. */
async function whoHasTheSource(plan: PlanRecord, deps: ProtectionDeps): Promise<string | undefined> {
  const cutoverId = await cutoverUnderWay(plan.id, deps.store);
  if (cutoverId !== undefined) return `cutover ${cutoverId} is under way, and begins the runs itself`;
  return machineInPlace(plan.sourceId, deps);
}

/** Holds the source for the run. Returns why that is impossible; `undefined` if it is held. */
async function findObstacle(run: RunRecord, deps: ProtectionDeps): Promise<string | undefined> {
  const { store } = deps;
  if (run.disks.length === 0) return `source ${run.sourceId} has not reported its disks yet`;
  const stale = await freedHolder(run, deps);
  try {
    await store.agents.modify(run.sourceId, (current) => {
      const source = requireServing(current, "source", run.sourceId);
      return held(stale === undefined ? source : released(source, stale), run.id);
    });
    return undefined;
  } catch (error) {
    const foreseen =
      error instanceof WrongStateError || error instanceof ForbiddenError || error instanceof NotFoundError;
    if (foreseen) return error.message;
    throw error;
  }
}

/**
 * A holder of the source that has ended, or an earlier run whose workflow has ended without ending it: an
 * operator stopped it, or it ran out of time. `id`: the run that may hold it.
 */
export async function freedHolder(
  { sourceId, id }: { sourceId: string; id?: string },
  deps: ProtectionDeps,
): Promise<string | undefined> {
  const { store, workflow, clock } = deps;
  const stale = await staleHolder(sourceId, deps);
  if (stale !== undefined) return stale;
  const { heldBy } = await store.agents.get(sourceId);
  if (heldBy === undefined || heldBy === id || !RunId.safeParse(heldBy).success) return undefined;
  const holder = await store.runs.get(heldBy);
  const mayBeStarting = clock.now() - Date.parse(holder.startedAt) < ABANDONED_AFTER_MS;
  if (mayBeStarting || (await workflow.isRunning(heldBy))) return undefined;
  await abandonRun(heldBy, { Error: "WorkflowInterruptedError", Cause: heldBy }, deps);
  return heldBy;
}

async function skip(
  plan: PlanRecord,
  run: RunRecord,
  reason: string,
  deps: ProtectionDeps,
): Promise<RunRecord> {
  const { store, clock, log } = deps;
  const skipped = await store.runs.modify(run.id, (current) => skippedRun(current, reason, timestamp(clock)));
  if (skipped.state === "skipped" && skipped.endedAt) {
    await store.audit.addOnce({
      at: skipped.endedAt,
      actor: "causeway",
      action: "run-skipped",
      subject: run.id,
      outcome: "done",
      details: { planId: run.planId, reason },
    });
    reportRun(skipped, plan, { log, nowMs: clock.now() });
  }
  return skipped;
}
