/** Protection plans and their runs, as the API takes and shows them. */
import * as z from "zod";
import { Retention } from "../domain/protection/retention.ts";
import { Bottleneck, Failure, Timestamp } from "./common.ts";
import { Consistency, CopiedDisk } from "./copied-disk.ts";
import { DrillSchedule } from "./drill.ts";
import { AgentId, DiskName, DrillId, PlanId, PointId, ResourceId, RunId } from "./ids.ts";
import { AcceptableRule } from "./rule-names.ts";
import { CaptureMode, FreezeShown, TakenDisk, ViewKind } from "./taken-point.ts";
import { BandwidthWindow, MAX_WINDOWS, TimeZoneName, WeeklyHours } from "./weekly-hours.ts";

/** One minute to 30 days, in whole minutes: EventBridge Scheduler has that precision. */
const INTERVALS = "1 minute to 30 days, in whole minutes";
const IntervalSeconds = z
  .int()
  .min(60, INTERVALS)
  .max(30 * 86_400, INTERVALS)
  .multipleOf(60, INTERVALS);

const scheduling = {
  /** Either this or `cron`. */
  intervalSeconds: IntervalSeconds.optional(),
  /** Five fields, as in crontab(5), in the plan's time zone. */
  cron: z.string().max(200).optional(),
  /** When the timetable begins. */
  startAt: Timestamp.optional(),
  timeZone: TimeZoneName.default("UTC"),
  /** Hours of the time zone in which no run starts. */
  blackout: z.array(WeeklyHours).max(MAX_WINDOWS).default([]),
};

const copying = {
  /** All disks that the source has at each run if absent. */
  disks: z.array(DiskName).min(1).max(64).optional(),
  /** Whether to copy what file systems mark as free, too. */
  allBlocks: z.boolean().default(false),
  /** Of the hours that `bandwidthHours` does not name. */
  bandwidthLimitBytesPerSecond: z.int().positive().optional(),
  /** Of two windows that overlap, the earlier in the list counts. */
  bandwidthHours: z.array(BandwidthWindow).max(MAX_WINDOWS).default([]),
  retention: Retention.prefault({ last: 12, hourly: 24, daily: 14 }),
  /** The target host that keeps an image of the newest recovery point. */
  standbyTargetId: ResourceId.optional(),
  drills: DrillSchedule.optional(),
};

/** The rule that an operator may accept for a plan: then its points of disks in use are not consistent. */
export const PlanRule = AcceptableRule.extract(["disk-in-use"]);

const EITHER = "give either intervalSeconds or cron";

export const NewPlan = z
  .strictObject({
    sourceId: ResourceId,
    ...scheduling,
    ...copying,
    accept: z.array(PlanRule).max(1).default([]),
  })
  .refine(({ intervalSeconds, cron }) => (intervalSeconds === undefined) !== (cron === undefined), {
    path: ["intervalSeconds"],
    message: EITHER,
  });
export type NewPlan = z.infer<typeof NewPlan>;

/** Fields that are absent stay as they are; `null` removes what was set. */
export const PlanEdit = z
  .strictObject({
    intervalSeconds: IntervalSeconds.optional(),
    cron: scheduling.cron,
    startAt: Timestamp.nullable().optional(),
    timeZone: scheduling.timeZone.unwrap().optional(),
    blackout: scheduling.blackout.unwrap().optional(),
    disks: copying.disks.unwrap().nullable().optional(),
    allBlocks: z.boolean().optional(),
    bandwidthLimitBytesPerSecond: z.int().positive().nullable().optional(),
    bandwidthHours: copying.bandwidthHours.unwrap().optional(),
    retention: Retention.optional(),
    standbyTargetId: ResourceId.nullable().optional(),
    drills: DrillSchedule.nullable().optional(),
  })
  .refine(({ intervalSeconds, cron }) => intervalSeconds === undefined || cron === undefined, {
    path: ["intervalSeconds"],
    message: EITHER,
  });
export type PlanEdit = z.infer<typeof PlanEdit>;

/** What goes with a plan that is deleted. */
export const DeletionScope = z.strictObject({
  /** `prune`: its recovery points are pruned, and collected a week later. */
  points: z.enum(["keep", "prune"]).default("keep"),
  /** `forget`: its target host removes the standby's images. */
  standby: z.enum(["keep", "forget"]).default("keep"),
  dryRun: z.enum(["true", "false"]).default("false"),
});
export type DeletionScope = z.infer<typeof DeletionScope>;

export const PlanState = z.enum(["active", "paused", "deleted"]);
export type PlanState = z.infer<typeof PlanState>;

/** `stopping`: its plan was deleted, and its work is being ended. */
export const RunState = z.enum(["running", "stopping", "completed", "failed", "skipped"]);
export type RunState = z.infer<typeof RunState>;

export const RunResult = z.object({
  disks: z.array(
    // `modeReason`: why the disk was not tracked. `viewReason`: why it was read in this way.
    CopiedDisk.extend({
      mode: CaptureMode,
      modeReason: z.string().optional(),
      view: ViewKind.optional(),
      viewReason: z.string().optional(),
      trackerDisagreements: TakenDisk.shape.trackerDisagreements.default(0),
    }),
  ),
  /** The lowest of all disks. */
  consistency: Consistency,
  ...FreezeShown.shape,
  bytesRead: z.int().nonnegative(),
  bytesStored: z.int().nonnegative(),
  /** Of the blocks that differ from those of the point before, each counted whole. */
  changedBytes: z.int().nonnegative(),
  /** Disk areas that the source could not read. */
  badRanges: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
  limitingStage: Bottleneck,
  /** How the plan's standby followed. If it is `behind`, a later run applies a newer point. */
  standby: z
    .discriminatedUnion("state", [
      z.object({
        state: z.literal("applied"),
        bytesWritten: z.int().nonnegative(),
        /** Parts of 16 MiB that another program had changed. They equal the point again. */
        leavesRepaired: z.int().nonnegative(),
        seconds: z.number().nonnegative(),
      }),
      z.object({ state: z.literal("behind"), failure: Failure }),
    ])
    .optional(),
});
export type RunResult = z.infer<typeof RunResult>;

export const Run = z.object({
  id: RunId,
  planId: PlanId,
  sourceId: AgentId,
  state: RunState,
  trigger: z.enum(["schedule", "request", "cutover"]),
  /** The time of the timetable, or of the request. */
  dueAt: Timestamp,
  startedAt: Timestamp,
  endedAt: Timestamp.optional(),
  /** The recovery point that it makes. It exists once the run has completed. */
  pointId: PointId.optional(),
  /** Why a skipped run did nothing. */
  reason: z.string().optional(),
  failure: Failure.optional(),
  result: RunResult.optional(),
  requestedBy: z.string(),
});
export type Run = z.infer<typeof Run>;

/**
 * `protected`: the newest recovery point is as young as the plan promises. `late`: it is not. `suspended`: no
 * point is promised, because the plan is paused or it is blackout hours. `waiting`: no run has been due yet.
 */
export const LagState = z.enum(["protected", "late", "suspended", "waiting"]);
export type LagState = z.infer<typeof LagState>;

/** A stage of reading the source, or `apply`: making the standby equal to the point takes longer. */
const LimitingStage = z.enum([...Bottleneck.options, "apply"]);
export type LimitingStage = z.infer<typeof LimitingStage>;

/** How a plan's runs fare, by the newest recovery point and by the last day. */
export const PlanCondition = z.object({
  /**
   * Changed bytes per second in each of the last 24 hours of the clock, oldest first; the last one is not
   * over. `null` if no run covers any of the hour.
   */
  dirtyRate: z.array(z.object({ from: Timestamp, bytesPerSecond: z.number().nullable() })),
  /** What has not become a recovery point yet. */
  backlog: z.object({
    /** How many runs have been due since the newest point, at most 1000; `null` if there is no point. */
    runs: z.int().nullable(),
    /** Changed since the newest point, by an estimate from the dirty rate; `null` if it is unknown. */
    bytes: z.int().nullable(),
  }),
  /** The stage that limits the runs, its seconds, and one thing to do; `null` if there is no point. */
  limit: z.object({ stage: LimitingStage, seconds: z.number(), action: z.string() }).nullable(),
  /** Mode and consistency of each disk in the newest point. */
  disks: RunResult.shape.disks,
});
export type PlanCondition = z.infer<typeof PlanCondition>;

export const Plan = z.object({
  id: PlanId,
  sourceId: AgentId,
  state: PlanState,
  intervalSeconds: z.int().nullable(),
  cron: z.string().nullable(),
  startAt: Timestamp.nullable(),
  timeZone: z.string(),
  blackout: z.array(WeeklyHours),
  disks: z.array(DiskName).nullable(),
  allBlocks: z.boolean(),
  bandwidthLimitBytesPerSecond: z.int().nullable(),
  bandwidthHours: z.array(BandwidthWindow),
  /** The upload limit that is in force now; `null`: none. */
  bandwidthNowBytesPerSecond: z.int().nullable(),
  retention: Retention,
  standbyTargetId: AgentId.nullable(),
  /** The recovery point that the standby equals; `null` if it equals none. */
  standbyPointId: PointId.nullable(),
  drills: DrillSchedule.nullable(),
  /** When the newest recovery point is drilled next; `null` unless the plan is active and has drills. */
  nextDrillAt: Timestamp.nullable(),
  /** The last drill that the schedule began. */
  lastDrillId: DrillId.nullable(),
  accept: z.array(PlanRule),
  /** The age of what the newest recovery point holds; `null` if there is none. */
  lagSeconds: z.number().nullable(),
  lag: LagState,
  /** If there is no recovery point by then, the plan is late. */
  lateAt: Timestamp.nullable(),
  lastRun: Run.nullable(),
  condition: PlanCondition,
  nextRunAt: Timestamp.nullable(),
  requestedBy: z.string(),
  createdAt: Timestamp,
});
export type Plan = z.infer<typeof Plan>;

/**
 * A standby that its plan no longer keeps. `ordered`: the target host removes the images, once it is
 * connected. `left`: the target host was revoked, so the images are still where they were. `none`: no run has
 * made any.
 */
export const ForgottenStandby = z.object({
  targetId: AgentId,
  images: z.enum(["ordered", "left", "none"]),
});
export type ForgottenStandby = z.infer<typeof ForgottenStandby>;

export const PlanDeletion = z.object({
  dryRun: z.boolean(),
  plan: Plan,
  /** The recovery points that were pruned, or would be. */
  points: z.array(PointId),
  /** The standby that was forgotten, or would be; `null`: none. */
  standby: ForgottenStandby.nullable(),
  /** This run is being stopped. Until it has ended, no points and no standby go: repeat the request then. */
  waitsFor: RunId.nullable(),
});
export type PlanDeletion = z.infer<typeof PlanDeletion>;
