/** A plan as the API shows it. */
import type { Plan } from "../../protocol/protection.ts";
import { bandwidthAt } from "./bandwidth.ts";
import { conditionOf } from "./condition.ts";
import { lagOf } from "./lag.ts";
import type { PlanRecord } from "./plan.ts";
import { type RunRecord, runOf } from "./run.ts";

/** `pointRun`: the run that made the newest point. `now`: milliseconds since 1970. */
export function planOf(
  plan: PlanRecord,
  { lastRun, pointRun }: { lastRun: RunRecord | undefined; pointRun: RunRecord | undefined },
  now: number,
): Plan {
  const { id, sourceId, state, blackout, allBlocks, retention, accept } = plan;
  const { bandwidthHours, requestedBy, createdAt } = plan;
  return {
    id,
    sourceId,
    state,
    ...timesOf(plan),
    startAt: plan.startAt ?? null,
    blackout,
    disks: plan.disks ?? null,
    allBlocks,
    bandwidthLimitBytesPerSecond: plan.bandwidthLimitBytesPerSecond ?? null,
    bandwidthHours,
    bandwidthNowBytesPerSecond: bandwidthAt(now, { ...plan, windows: bandwidthHours }) ?? null,
    retention,
    standbyTargetId: plan.standbyTargetId ?? null,
    standbyPointId: plan.standbyPointId ?? null,
    drills: plan.drills ?? null,
    nextDrillAt: plan.drillDueAt ?? null,
    lastDrillId: plan.lastDrillId ?? null,
    accept,
    ...lagOf(plan, now),
    lateAt: plan.lateAt ?? null,
    lastRun: lastRun ? runOf(lastRun) : null,
    condition: conditionOf(plan, pointRun?.result, now),
    requestedBy,
    createdAt,
  };
}

/** When its runs are due. */
export function timesOf({
  intervalSeconds,
  cron,
  timeZone,
  nextRunAt,
}: PlanRecord): Pick<Plan, "intervalSeconds" | "cron" | "timeZone" | "nextRunAt"> {
  return {
    ...{ intervalSeconds: intervalSeconds ?? null, cron: cron ?? null, timeZone },
    nextRunAt: nextRunAt ?? null,
  };
}
