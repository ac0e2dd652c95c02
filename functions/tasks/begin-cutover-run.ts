import * as z from "zod";
import { released } from "#shared/domain/agent.ts";
import { type CutoverRecord, requireGoing } from "#shared/domain/cutover/cutover.ts";
import { requireStandby } from "#shared/domain/cutover/new-cutover.ts";
import { unlimitedPlan } from "#shared/domain/protection/plan.ts";
import { dueTimeOfRun, runHasEnded, runIdOf, runInput } from "#shared/domain/protection/run.ts";
import { WrongStateError } from "#shared/errors.ts";
import { SyncPhase } from "#shared/protocol/cutover.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { quiesces } from "#shared/protocol/quiesce.ts";
import { timestamp } from "../conversion/deps.ts";
import { type PointDisks, pointDisks } from "../cutover/point-disks.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { stopRun } from "../protection/abandon-run.ts";
import { freedHolder, prepareRun } from "../protection/begin-run.ts";
import { buildProtection } from "../protection/build.ts";
import type { ProtectionDeps } from "../protection/deps.ts";

export const Input = z.object({
  cutoverId: CutoverId,
  phase: SyncPhase,
  /** Counts the runs of this phase from 1, so that a repetition finds its run. */
  turn: z.int().positive(),
});
type Input = z.output<typeof Input>;

export const handler = taskHandler({
  name: "tasks/begin-cutover-run",
  input: Input,
  build: buildProtection,
  run,
});

/** How long to leave a source alone that something else reads. A baseline can take days. */
const BUSY_SECONDS = { baseline: 300, "pre-sync": 15, "final-sync": 15 } as const;
/** The workflow's history has room for a limited number of turns, so it waits longer each time. */
const LONGEST_BUSY_SECONDS = { baseline: 3600, "pre-sync": 120, "final-sync": 15 } as const;

/** `turn`: from 1. */
function busySeconds({ phase, turn }: Pick<Input, "phase" | "turn">): number {
  return Math.min(LONGEST_BUSY_SECONDS[phase], BUSY_SECONDS[phase] * turn);
}

type Begun =
  | ({ next: "ready"; frozenFrom?: string } & PointDisks)
  | { next: "wait"; waitSeconds: number }
  | { next: "run"; run: ReturnType<typeof runInput> };

/**
 * Makes a run of the protection plan for the workflow to start; `wait` if the source is held by another one.
 * `ready`: the standby is at a point. Repeating it finds the same run. Throws `CutoverStoppedError`,
 * `WindowClosedError`, and `WrongStateError` if the plan no longer has the standby, or if something else
 * holds the source in the outage.
 */
export async function run(input: Input, deps: ProtectionDeps): Promise<Begun> {
  const { store, clock } = deps;
  const { cutoverId, phase, turn } = input;
  const cutover = await store.cutovers.get(cutoverId);
  requireGoing(cutover, timestamp(clock));
  const { sourceId, targetId, planId, requestedBy } = cutover;
  const source = await store.agents.get(sourceId);
  const plan = requireStandby(await store.plans.find(planId), source, targetId);
  if (phase === "baseline" && plan.standbyPointId !== undefined) return ready(plan.standbyPointId, deps);
  const earlier = cutover.runs.find((one) => one.phase === phase && one.turn === turn);
  const isBusy = !earlier && source.heldBy !== undefined && !(await freedHolder({ sourceId }, deps));
  // In the outage nothing waits.
  if (isBusy && phase === "final-sync")
    throw new WrongStateError(
      `the final sync cannot begin: ${source.heldBy} holds source ${sourceId}`,
      "Create another cutover once that has ended; the standby is kept.",
    );
  if (isBusy) return { next: "wait", waitSeconds: busySeconds(input) };
  // No run of the plan has the time of another one.
  const after = Math.max(0, ...cutover.runs.map(({ id }) => dueTimeOfRun(id) + 1));
  const runId = earlier?.id ?? runIdOf(planId, Math.max(clock.now(), after));
  await store.cutovers.modify(cutoverId, (one) => {
    requireGoing(one, timestamp(clock));
    return withRun(one, { id: runId, phase, turn });
  });
  const dueAt = dueTimeOfRun(runId);
  const isThere = phase === "final-sync" && quiesces[cutover.quiesce].restartsSource;
  const restartedBy = isThere ? cutoverId : undefined;
  // In the outage no one waits for a link that others may need.
  const limited = phase === "final-sync" ? unlimitedPlan(plan) : plan;
  const begun = await prepareRun(limited, { dueAt, trigger: "cutover", requestedBy, restartedBy }, deps);
  await requireStillGoing(cutoverId, runId, deps);
  // Something else took the source in between. The next turn tries again.
  if (runHasEnded(begun) && begun.state === "skipped")
    return { next: "wait", waitSeconds: busySeconds(input) };
  return { next: "run", run: runInput(begun) };
}

async function ready(pointId: string, { store }: ProtectionDeps): Promise<Begun> {
  const { frozen } = await store.points.get(pointId);
  const disks = await pointDisks(pointId, store);
  return { next: "ready", ...disks, ...(frozen && { frozenFrom: frozen.from }) };
}

/**
 * The run is stored, then the cutover is read. What stops a cutover marks it, then reads its runs. So one of
 * the two sees the other. Throws what `requireGoing` throws.
 */
async function requireStillGoing(cutoverId: string, runId: string, deps: ProtectionDeps): Promise<void> {
  const cutover = await deps.store.cutovers.get(cutoverId);
  try {
    requireGoing(cutover, timestamp(deps.clock));
  } catch (error) {
    await stopRun(runId, deps);
    // It was ended before it held its source.
    if (runHasEnded(await deps.store.runs.get(runId)))
      await deps.store.agents.modify(cutover.sourceId, (source) => released(source, runId));
    throw error;
  }
}

function withRun(cutover: CutoverRecord, added: CutoverRecord["runs"][number]): CutoverRecord {
  const isKnown = cutover.runs.some(({ id }) => id === added.id);
  return isKnown ? cutover : { ...cutover, runs: [...cutover.runs, added] };
}
