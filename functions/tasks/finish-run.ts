import { S3Client } from "@aws-sdk/client-s3";
import * as z from "zod";
import { released } from "#shared/domain/agent.ts";
import { type CommandRecord, latest } from "#shared/domain/command.ts";
import { requireRunning } from "#shared/domain/conversion.ts";
import { isDrillLost } from "#shared/domain/protection/drill-schedule.ts";
import { type PlanRecord, pointMade, standbyAt } from "#shared/domain/protection/plan.ts";
import { completedRun, runAsOwner } from "#shared/domain/protection/run.ts";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { errorFields } from "#shared/log.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import { leastConsistency } from "#shared/protocol/copied-disk.ts";
import { RunId } from "#shared/protocol/ids.ts";
import type { RunResult } from "#shared/protocol/protection.ts";
import { FreezeShown, TakenDisk } from "#shared/protocol/taken-point.ts";
import { buildAlarming } from "../alarm/build.ts";
import { S3PruneMarks } from "../aws/s3-prune-marks.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { PruneMarks } from "../ports.ts";
import { buildPlanTimer } from "../protection/build.ts";
import { pruneByRetention } from "../protection/prune.ts";
import { reportRun } from "../protection/report-run.ts";
import { setDrillTimer, setWatch } from "../protection/schedules.ts";
import { type SettleDeps, settleAlarm } from "../protection/settle-alarm.ts";

export const Input = z.object({
  runId: RunId,
  disks: z.array(TakenDisk).min(1),
  freeze: FreezeShown.default({}),
  /** Of a plan with a standby. */
  applied: commandKinds["apply-to-standby"].output.optional(),
  notApplied: WorkflowError.optional(),
});
type Input = z.output<typeof Input>;

export const handler = taskHandler({
  name: "tasks/finish-run",
  input: Input,
  build: (environment, runtime): Deps => ({
    ...buildAlarming(environment, runtime),
    marks: new S3PruneMarks(new S3Client(), environment.BUCKET_NAME),
    timer: buildPlanTimer(environment, runtime.clock),
    log: runtime.log,
  }),
  run,
});

interface Deps extends SettleDeps {
  marks: PruneMarks;
}

/**
 * Notes a run's recovery point on the plan, completes the run with its result, frees the source, moves the
 * plan's watch, and prunes what the plan does not keep. Repeating it changes nothing. Throws
 * `RunStoppedError` if the plan was deleted.
 */
export async function run(input: Input, deps: Deps): Promise<{ state: "completed" }> {
  const { store, clock } = deps;
  const { runId, applied } = input;
  const { record: current, commands } = await store.runs.withCommands(runId);
  const isRepeated = current.state === "completed";
  if (!isRepeated) requireRunning(runAsOwner(current));
  const result = { ...resultOf(input), ...input.freeze };
  const point = { id: current.pointId, heldAt: heldAt(commands) ?? current.startedAt, runId };
  const { changedBytes } = result;
  const before = await store.plans.get(current.planId);
  // A client that sees the run completed may recover from the standby at once.
  const plan = await store.plans.modify(current.planId, (one) => {
    const noted = pointMade(one, { ...point, changedBytes });
    return applied && one.standbyTargetId === current.standbyTargetId
      ? standbyAt(noted, applied.pointId)
      : noted;
  });
  const ended = await store.runs.modify(runId, (one) => completedRun(one, result, timestamp(clock)));
  await store.agents.modify(ended.sourceId, (source) => released(source, runId));
  await store.audit.addOnce({
    at: ended.endedAt ?? ended.startedAt,
    actor: "causeway",
    action: "run-completed",
    subject: runId,
    outcome: "done",
    details: { planId: ended.planId, pointId: ended.pointId, bytesStored: result.bytesStored },
  });
  if (!isRepeated) reportRun(ended, before, { log: deps.log, nowMs: clock.now() });
  await moveWatch(plan, deps);
  await prune(plan, deps);
  return { state: "completed" };
}

/**
 * A watch that cannot be moved fires once more, does what is left here, and moves itself. A drill that the
 * scheduler lost is due at once.
 */
async function moveWatch(plan: PlanRecord, deps: Deps): Promise<void> {
  try {
    await setWatch(plan, deps);
    if (isDrillLost(plan, deps.clock.now())) await setDrillTimer(plan, deps);
    await settleAlarm(plan.id, deps);
  } catch (error) {
    deps.log.error("watch not moved", { planId: plan.id, ...errorFields(error) });
  }
}

/** The run has its point whether or not this succeeds, and the next run does what this one leaves. */
async function prune(plan: PlanRecord, deps: Deps): Promise<void> {
  if (plan.state === "deleted") return;
  try {
    const { sourceId, standbyPointId } = plan;
    // The next point is applied to the standby as a change of this one.
    const pinned = new Set(standbyPointId === undefined ? [] : [standbyPointId]);
    await pruneByRetention({ sourceId, plan, pinned, actor: "causeway" }, deps);
  } catch (error) {
    deps.log.error("points not pruned", { planId: plan.id, ...errorFields(error) });
  }
}

/**
 * A time that the point's content is not older than, by the control plane's clock: when the source was first
 * heard to work on it. A run can wait for its source for a day before.
 */
function heldAt(commands: readonly CommandRecord[]): string | undefined {
  // Whether or not it is marked: the workflow has its result before that.
  const taken = latest(commands.filter(({ kind }) => kind === "take-recovery-point"));
  return taken?.startedAt ?? taken?.issuedAt;
}

function standbyWork({ bytesWritten, leavesRepaired, seconds }: NonNullable<Input["applied"]>) {
  return { bytesWritten, leavesRepaired, seconds };
}

function resultOf({ disks: taken, applied, notApplied }: Input): RunResult {
  const sum = (field: "bytesRead" | "bytesStored" | "changedBytes" | "badRanges") =>
    taken.reduce((total, disk) => total + disk[field], 0);
  const slowest = taken.reduce((worst, disk) => (disk.seconds > worst.seconds ? disk : worst));
  const disks = taken.map(
    ({ name, consistency, wholeCopies, mode, modeReason, view, viewReason, trackerDisagreements }) => ({
      ...{ name, consistency, wholeCopies, mode, view, viewReason, trackerDisagreements },
      ...(modeReason === undefined ? {} : { modeReason }),
    }),
  );
  return {
    disks,
    consistency: leastConsistency(disks.map(({ consistency }) => consistency)),
    bytesRead: sum("bytesRead"),
    bytesStored: sum("bytesStored"),
    changedBytes: sum("changedBytes"),
    badRanges: sum("badRanges"),
    seconds: slowest.seconds,
    limitingStage: slowest.bottleneck,
    ...(applied
      ? { standby: { state: "applied", ...standbyWork(applied) } }
      : notApplied
        ? { standby: { state: "behind", failure: workflowFailure(notApplied) } }
        : {}),
  };
}
