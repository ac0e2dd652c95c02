/** A protection run: one execution of a plan. Its record and its life cycle. */
import * as z from "zod";
import type { Failure } from "../../errors.ts";
import { Failure as FailureSchema, Timestamp } from "../../protocol/common.ts";
import { AgentId, CutoverId, DiskName, PlanId, PointId, RunId } from "../../protocol/ids.ts";
import { type Run, RunResult, RunState } from "../../protocol/protection.ts";
import { BandwidthHours } from "../../protocol/weekly-hours.ts";
import type { AgentRecord } from "../agent.ts";
import type { CommandOwner } from "../command-owner.ts";
import { isFinal, move, type Transitions } from "../transitions.ts";
import type { PlanRecord } from "./plan.ts";
import { TIME_DIGITS, timeInId } from "./time-id.ts";

const runTransitions: Transitions<RunState> = {
  running: ["stopping", "completed", "failed", "skipped"],
  stopping: ["failed"],
  completed: [],
  failed: [],
  skipped: [],
};

export const RunRecord = z.object({
  id: RunId,
  planId: PlanId,
  sourceId: AgentId,
  state: RunState,
  trigger: z.enum(["schedule", "request", "cutover"]),
  dueAt: Timestamp,
  startedAt: Timestamp,
  endedAt: Timestamp.optional(),
  /** The id of the recovery point to make. */
  pointId: PointId,
  pointRecorded: z.boolean().default(false),
  disks: z.array(DiskName),
  allBlocks: z.boolean(),
  /** Whether a point of disks in use that is not consistent is better than none. */
  allowInconsistent: z.boolean().default(false),
  bandwidthLimitBytesPerSecond: z.int().optional(),
  bandwidthHours: BandwidthHours.optional(),
  standbyTargetId: AgentId.optional(),
  /** The cutover that has restarted the source into its boot environment, where the run reads it. */
  restartedBy: CutoverId.optional(),
  reason: z.string().optional(),
  failure: FailureSchema.optional(),
  result: RunResult.optional(),
  requestedBy: z.string(),
  version: z.int(),
});
export type RunRecord = z.infer<typeof RunRecord>;

/**
 * The id of a plan's run that is due at this time: of two ticks for the same time, the second finds the run
 * of the first. A plan's runs sort by time.
 */
export function runIdOf(planId: string, dueAt: number): string {
  return `run_${timeInId(dueAt)}${planId.slice(planId.indexOf("_") + 1)}`;
}

/** When the run of this id was due, in milliseconds since 1970. */
export function dueTimeOfRun(runId: string): number {
  const start = runId.indexOf("_") + 1;
  return Number.parseInt(runId.slice(start, start + TIME_DIGITS), 36);
}

export function newRun(
  plan: PlanRecord,
  given: {
    dueAt: number;
    trigger: RunRecord["trigger"];
    pointId: string;
    source: AgentRecord;
    requestedBy: string;
    restartedBy?: string | undefined;
    now: string;
  },
): RunRecord {
  const { dueAt, trigger, pointId, source, requestedBy, restartedBy, now } = given;
  const { id: planId, sourceId, allBlocks, bandwidthLimitBytesPerSecond, standbyTargetId, accept } = plan;
  const { timeZone, bandwidthHours: windows } = plan;
  return {
    id: runIdOf(planId, dueAt),
    planId,
    sourceId,
    state: "running",
    trigger,
    dueAt: new Date(dueAt).toISOString(),
    startedAt: now,
    pointId,
    pointRecorded: false,
    disks: plan.disks ?? source.inventory?.disks.map(({ name }) => name) ?? [],
    allBlocks,
    allowInconsistent: accept.includes("disk-in-use"),
    bandwidthLimitBytesPerSecond,
    bandwidthHours: windows.length === 0 ? undefined : { timeZone, windows },
    standbyTargetId,
    ...(restartedBy === undefined ? {} : { restartedBy }),
    requestedBy,
    version: 0,
  };
}

/** The input of the workflow's execution, from the record alone, so that a repeated start sends the same. */
export function runInput(run: RunRecord) {
  const { id, planId, sourceId, pointId, disks, allBlocks, allowInconsistent } = run;
  const { bandwidthLimitBytesPerSecond, bandwidthHours } = run;
  return {
    runId: id,
    sourceId,
    pointId,
    disks,
    allBlocks,
    allowInconsistent,
    ...(bandwidthLimitBytesPerSecond === undefined ? {} : { bandwidthLimitBytesPerSecond }),
    ...(bandwidthHours === undefined ? {} : { bandwidthHours }),
    ...(run.restartedBy === undefined ? {} : { environment: "boot-environment" as const }),
    ...(run.standbyTargetId === undefined ? {} : { standby: { planId, targetId: run.standbyTargetId } }),
  };
}

export function runHasEnded({ state }: RunRecord): boolean {
  return isFinal(runTransitions, state);
}

/** The run, skipped. One that has ended stays as it is. */
export function skippedRun(run: RunRecord, reason: string, now: string): RunRecord {
  return runHasEnded(run) ? run : { ...run, state: moved(run, "skipped"), reason, endedAt: now };
}

/** The run, whose work is being ended. One that has ended stays as it is. */
export function stoppingRun(run: RunRecord): RunRecord {
  return runHasEnded(run) || run.state === "stopping" ? run : { ...run, state: moved(run, "stopping") };
}

export function runPointRecorded(run: RunRecord): RunRecord {
  return run.pointRecorded ? run : { ...run, pointRecorded: true };
}

/** The run, completed. Repeating it changes nothing. */
export function completedRun(run: RunRecord, result: RunResult, now: string): RunRecord {
  return run.state === "completed" ? run : { ...run, state: moved(run, "completed"), result, endedAt: now };
}

/** The run, failed. One that has ended stays as it is. */
export function failedRun(run: RunRecord, failure: Failure, now: string): RunRecord {
  return runHasEnded(run) ? run : { ...run, state: moved(run, "failed"), failure, endedAt: now };
}

export function runAsOwner(run: RunRecord): CommandOwner {
  const { id, planId, sourceId, requestedBy, state, pointId, standbyTargetId: targetId } = run;
  const ownerStates = { stopping: "cancelling", skipped: "cancelled" } as const;
  const ownerState = state === "stopping" || state === "skipped" ? ownerStates[state] : state;
  const { restartedBy } = run;
  const madeBy = { runId: id, planId };
  return { id, sourceId, targetId, requestedBy, state: ownerState, pointId, madeBy, restartedBy };
}

/** The run as the API shows it. */
export function runOf({ pointRecorded, standbyTargetId: _, restartedBy: _by, ...run }: RunRecord): Run {
  return { ...run, pointId: pointRecorded ? run.pointId : undefined };
}

function moved<S extends RunState>(run: RunRecord, to: S): S {
  return move(runTransitions, `run ${run.id}`, run.state, to);
}
