/** A protection plan: its record and its life cycle. */
import * as z from "zod";
import { InvalidInputError, WrongStateError } from "../../errors.ts";
import { Timestamp } from "../../protocol/common.ts";
import { DrillSchedule } from "../../protocol/drill.ts";
import { AgentId, CutoverId, DiskName, DrillId, PlanId, PointId, RunId } from "../../protocol/ids.ts";
import { type NewPlan, type PlanEdit, PlanRule, PlanState } from "../../protocol/protection.ts";
import { BandwidthWindow, WeeklyHours } from "../../protocol/weekly-hours.ts";
import { TimeZone } from "../../time-zone.ts";
import { move, type Transitions } from "../transitions.ts";
import { isAlwaysBlackout } from "./blackout.ts";
import { findCronProblem } from "./cron.ts";
import { ChangedHour, withChange } from "./dirty-rate.ts";
import { withNextDrill } from "./drill-schedule.ts";
import { lateTime } from "./lag.ts";
import { Retention } from "./retention.ts";
import {
  advanced,
  dueTime,
  edited,
  firstPosition,
  type PlanPosition,
  resumed,
  type Timetable,
} from "./timing.ts";

const planTransitions: Transitions<PlanState> = {
  active: ["paused", "deleted"],
  paused: ["active", "deleted"],
  deleted: [],
};

export const PlanRecord = z.object({
  id: PlanId,
  sourceId: AgentId,
  state: PlanState,
  /** Either this or `cron`. */
  intervalSeconds: z.int().optional(),
  cron: z.string().optional(),
  startAt: Timestamp.optional(),
  timeZone: z.string(),
  blackout: z.array(WeeklyHours),
  disks: z.array(DiskName).optional(),
  allBlocks: z.boolean(),
  bandwidthLimitBytesPerSecond: z.int().optional(),
  bandwidthHours: z.array(BandwidthWindow).default([]),
  retention: Retention,
  standbyTargetId: AgentId.optional(),
  /** The recovery point that the standby equals, as its target host reported last. */
  standbyPointId: PointId.optional(),
  /** The last cutover of the source. While that is under way, it alone begins runs. */
  cutoverId: CutoverId.optional(),
  drills: DrillSchedule.optional(),
  /** When the newest recovery point is drilled next; absent unless the plan is active and has drills. */
  drillDueAt: Timestamp.optional(),
  /** The last drill that the schedule began. */
  lastDrillId: DrillId.optional(),
  /** Rules that `requestedBy` accepted although they do not hold. */
  accept: z.array(PlanRule).default([]),
  /** A time from which intervals are counted. */
  anchorAt: Timestamp,
  /** The time of the timetable that is due next; absent unless the plan is active. */
  dueAt: Timestamp.optional(),
  /** When that run starts: `dueAt`, or the end of the blackout hours that contain it. */
  nextRunAt: Timestamp.optional(),
  /** If no run has made a recovery point by then, the plan is late. */
  lateAt: Timestamp.optional(),
  lastRunId: RunId.optional(),
  /** The newest recovery point; what it holds is at least as new as `heldAt`. */
  lastPoint: z.object({ id: PointId, heldAt: Timestamp, runId: RunId.optional() }).optional(),
  /** What runs found changed, by the hours of the last day. */
  changes: z.array(ChangedHour).default([]),
  requestedBy: z.string(),
  createdAt: Timestamp,
  version: z.int(),
});
export type PlanRecord = z.infer<typeof PlanRecord>;

/** A new plan. Throws `InvalidInputError` if its times never come. */
export function newPlan(
  { sourceId, ...request }: NewPlan,
  { id, requestedBy, now }: { id: string; requestedBy: string; now: number },
): PlanRecord {
  requireTimes(request, now);
  const position = firstPosition(request, { startAt: ms(request.startAt), seed: seedOf(id), now });
  const plan = { ...request, id, sourceId, state: "active" as const, requestedBy, changes: [], version: 0 };
  const created = { ...plan, anchorAt: iso(position.anchor), createdAt: iso(now) };
  return withNextDrill(placed(created, position, { late: true }), now);
}

/**
 * The plan with the changes of an operator. Throws `WrongStateError` if it is deleted, and
 * `InvalidInputError` if its times never come.
 */
export function editedPlan(plan: PlanRecord, edit: PlanEdit, now: number): PlanRecord {
  requireKept(plan);
  const asked = withChanges(plan, edit);
  requireTimes(asked, now);
  const movesDrills = edit.drills !== undefined || edit.timeZone !== undefined;
  const changed = movesDrills ? withNextDrill(asked, now) : asked;
  const startAt = edit.startAt === plan.startAt ? undefined : ms(edit.startAt ?? undefined);
  const before = positionOf(plan);
  // A paused plan gets its position when it is resumed.
  if (!before) return changed;
  const position = edited(before, { before: plan, after: changed, startAt, now });
  // A new deadline would hide that the plan is late already, unless nothing is due before a later start.
  const isLate = plan.lateAt !== undefined && now > Date.parse(plan.lateAt);
  return placed(changed, position, { late: !isLate || (startAt !== undefined && startAt > now) });
}

/** Throws `WrongStateError` if the plan is deleted. */
export function requireKept({ id, sourceId, state }: PlanRecord): void {
  if (state !== "deleted") return;
  throw new WrongStateError(
    `plan ${id} is deleted`,
    `\`causeway protect ${sourceId}\` makes another one; the recovery points of this one stay until they are pruned.`,
  );
}

/** The plan, for a run that may use the whole link at any hour. */
export function unlimitedPlan(plan: PlanRecord): PlanRecord {
  const { bandwidthLimitBytesPerSecond: _, ...rest } = plan;
  return { ...rest, bandwidthHours: [] };
}

export function pausedPlan(plan: PlanRecord): PlanRecord {
  requireKept(plan);
  return plan.state === "paused" ? plan : halted({ ...plan, state: moved(plan, "paused") });
}

/** Continues with the next time of the timetable; a plan that has never run is due at once. */
export function resumedPlan(plan: PlanRecord, now: number): PlanRecord {
  requireKept(plan);
  if (plan.state === "active") return plan;
  const active = { ...plan, state: moved(plan, "active") };
  const startAt = ms(plan.startAt);
  const anchor = Date.parse(plan.anchorAt);
  const position = resumed({ anchor }, plan, { startAt, now });
  const isNew = plan.lastRunId === undefined && plan.cron === undefined && position.due !== startAt;
  return withNextDrill(placed(active, isNew ? { ...position, due: now } : position, { late: true }), now);
}

export function deletedPlan(plan: PlanRecord): PlanRecord {
  return plan.state === "deleted" ? plan : halted({ ...plan, state: moved(plan, "deleted") });
}

/** Whether this tick of the scheduler is for the run that is due, or for a later one. */
export function isDue({ state, nextRunAt }: PlanRecord, dueAt: number): boolean {
  return state === "active" && nextRunAt !== undefined && dueAt >= Date.parse(nextRunAt);
}

/** The plan after the run that was due has been claimed. `dueAt`: of the scheduler's tick. */
export function afterClaim(
  plan: PlanRecord,
  { dueAt, runId, now }: { dueAt: number; runId: string; now: number },
): PlanRecord {
  const position = positionOf(plan);
  if (!position) return plan;
  // The scheduler's clock may be ahead of ours.
  const next = advanced(position, plan, Math.max(now, dueAt));
  return { ...placed(plan, next, { late: false }), lastRunId: runId };
}

/** The plan after an operator has started a run. Its times stay as they are. */
export function runRequested(plan: PlanRecord, runId: string): PlanRecord {
  return plan.lastRunId !== undefined && plan.lastRunId > runId ? plan : { ...plan, lastRunId: runId };
}

/**
 * The plan with its newest recovery point. `changedBytes`: since the point before. Repeating it changes
 * nothing.
 */
export function pointMade(
  plan: PlanRecord,
  { changedBytes, ...point }: { id: string; heldAt: string; runId: string; changedBytes: number },
): PlanRecord {
  if (plan.lastPoint && plan.lastPoint.heldAt >= point.heldAt) return plan;
  const position = positionOf(plan);
  const lateAt = position ? iso(lateTime(position, plan)) : plan.lateAt;
  // All of the first point is new, which says nothing about how much changes.
  const changes = plan.lastPoint
    ? withChange(plan.changes, {
        from: Date.parse(plan.lastPoint.heldAt),
        to: Date.parse(point.heldAt),
        bytes: changedBytes,
      })
    : plan.changes;
  return { ...plan, lastPoint: point, lateAt, changes };
}

/** From the run that is due to the one after it; 0 if none is due. */
export function secondsToFollowing(plan: PlanRecord): number {
  const position = positionOf(plan);
  if (!position) return 0;
  const due = dueTime(position, plan);
  return Math.round((dueTime(advanced(position, plan, due), plan) - due) / 1000);
}

/** The plan with the point that its standby equals now. */
export function standbyAt(plan: PlanRecord, pointId: string): PlanRecord {
  return plan.standbyPointId === pointId ? plan : { ...plan, standbyPointId: pointId };
}

/** The plan without a standby on this target host. */
export function withoutStandby(plan: PlanRecord, targetId: string): PlanRecord {
  if (plan.standbyTargetId !== targetId) return plan;
  const { standbyTargetId: _, standbyPointId: _point, ...rest } = plan;
  return rest;
}

/** The plan with this cutover of its source. */
export function withCutover(plan: PlanRecord, cutoverId: string): PlanRecord {
  return plan.cutoverId === cutoverId ? plan : { ...plan, cutoverId };
}

function positionOf({ anchorAt, dueAt }: PlanRecord): PlanPosition | undefined {
  return dueAt === undefined ? undefined : { anchor: Date.parse(anchorAt), due: Date.parse(dueAt) };
}

/** `late`: whether the deadline moves, too. */
function placed(plan: PlanRecord, position: PlanPosition, { late }: { late: boolean }): PlanRecord {
  return {
    ...plan,
    anchorAt: iso(position.anchor),
    dueAt: iso(position.due),
    nextRunAt: iso(dueTime(position, plan)),
    lateAt: late ? iso(lateTime(position, plan)) : plan.lateAt,
  };
}

function halted(plan: PlanRecord): PlanRecord {
  const { dueAt: _, nextRunAt: _next, lateAt: _late, drillDueAt: _drill, ...rest } = plan;
  return rest;
}

/** Removes what is `null`; the interval and the cron expression replace each other. */
function withChanges(plan: PlanRecord, edit: PlanEdit): PlanRecord {
  const replaced =
    edit.cron !== undefined
      ? { intervalSeconds: undefined }
      : edit.intervalSeconds !== undefined
        ? { cron: undefined }
        : {};
  // Another target host has no standby yet.
  const hasOther = edit.standbyTargetId !== undefined && edit.standbyTargetId !== plan.standbyTargetId;
  const changes = Object.entries(edit).filter(([, value]) => value !== undefined);
  const values = changes.map(([name, value]) => [name, value === null ? undefined : value]);
  return {
    ...plan,
    ...replaced,
    ...(hasOther ? { standbyPointId: undefined } : {}),
    ...Object.fromEntries(values),
  };
}

function requireTimes(
  { cron, timeZone, blackout, drills }: Timetable & { drills?: DrillSchedule | undefined },
  now: number,
): void {
  if (isAlwaysBlackout(blackout)) {
    throw new InvalidInputError([{ path: "blackout", message: "these hours leave no time for a run" }]);
  }
  for (const [path, expression] of [["cron", cron] as const, ["drills.cron", drills?.cron] as const]) {
    const zone = new TimeZone(timeZone);
    const problem = expression === undefined ? undefined : findCronProblem(expression, zone, now);
    if (problem !== undefined) throw new InvalidInputError([{ path, message: problem }]);
  }
}

/** A number that differs from plan to plan: the end of its id is random. */
function seedOf(id: string): number {
  return Number.parseInt(id.slice(-8), 36);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function ms(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}

function moved<S extends PlanState>(plan: PlanRecord, to: S): S {
  return move(planTransitions, `plan ${plan.id}`, plan.state, to);
}
