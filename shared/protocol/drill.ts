/** Drills: test starts of recovery points. */
import * as z from "zod";
import { Failure, Timestamp } from "./common.ts";
import { AgentId, DrillId, ObjectKey, PlanId, PointId, ResourceId } from "./ids.ts";
import { Proof, ProofBudget } from "./proof.ts";
import { ShownAdaptation } from "./wanted-machine.ts";

/** What a boot check found. */
export const BootCheck = z.object({
  verdict: z.enum(["booted", "not-booted", "unknown"]),
  reason: z.string(),
  seconds: z.number(),
  /** Keys in the bucket. */
  screenshotKey: ObjectKey.optional(),
  consoleLogKey: ObjectKey.optional(),
});
export type BootCheck = z.infer<typeof BootCheck>;

/** The newest drill of a recovery point that came to a verdict. */
export const BootTest = z.object({
  drillId: DrillId,
  verdict: BootCheck.shape.verdict,
  at: Timestamp,
});
export type BootTest = z.infer<typeof BootTest>;

export const NewDrill = z.strictObject({
  /** The target host that makes, boots and removes the clone. */
  targetId: ResourceId,
  bootTimeoutSeconds: z.int().min(10).max(7200).default(600),
  /** Console text that proves the clone is up, instead of a login prompt. */
  bootExpect: z.string().min(1).max(200).optional(),
  /**
   * Whether the clone's system is adapted to the boot check's machine first, as `machine adapt` does for a
   * drill: what acts in the source's name stays off. The target host needs a boot image. Absent: it is not.
   */
  adapt: z.boolean().optional(),
  /**
   * For how many seconds files of the source are read, to compare them with the clone before its system is
   * adapted and booted; not at all if absent. The source has to run. A difference ends the drill.
   */
  proveSeconds: ProofBudget.optional(),
});
export type NewDrill = z.infer<typeof NewDrill>;

/**
 * When a plan's newest recovery point is drilled, and where. If its files cannot be compared, it is booted
 * all the same.
 */
export const DrillSchedule = NewDrill.extend({
  /** Five fields, as in crontab(5), in the plan's time zone. */
  cron: z.string().max(200),
});
export type DrillSchedule = z.infer<typeof DrillSchedule>;

/** `cancelling`: the operator asked for it, and the workflow has not ended yet. */
export const DrillState = z.enum(["running", "completed", "failed", "cancelling", "cancelled"]);
export type DrillState = z.infer<typeof DrillState>;

export const Drill = z.object({
  id: DrillId,
  pointId: PointId,
  sourceId: AgentId,
  targetId: AgentId,
  /** Of a drill that a plan's schedule began. */
  planId: PlanId.optional(),
  /**
   * `completed`: it came to a verdict, whichever that is. The target host has removed the clone, unless there
   * is a `cleanUpFailure`.
   */
  state: DrillState,
  /** What the boot check found. It is known before the clone is removed. */
  result: BootCheck.optional(),
  /** What was changed in the clone before it was booted; absent in lists, and if nothing was asked for. */
  adaptation: ShownAdaptation.optional(),
  /** What the comparison of files found; absent if none was asked for, or it has not ended. */
  proof: Proof.optional(),
  failure: Failure.optional(),
  /** Why the clone could not be removed. The target host gets the command again when it connects. */
  cleanUpFailure: Failure.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
});
export type Drill = z.infer<typeof Drill>;
