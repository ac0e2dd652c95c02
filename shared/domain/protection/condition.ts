/** What an operator sees of a plan's runs: how much changes, what waits, and what limits them. */
import type { PlanCondition, RunResult } from "../../protocol/protection.ts";
import { adviceFor } from "./advice.ts";
import { type ChangedHour, estimateChange, hourlyRates } from "./dirty-rate.ts";
import { runsDueBetween, type Timetable } from "./timing.ts";

interface Protected extends Timetable {
  state: "active" | "paused" | "deleted";
  anchorAt: string;
  lastPoint?: { heldAt: string } | undefined;
  changes: readonly ChangedHour[];
}

/**
 * `newest`: the result of the run that made the newest point, if there is one. `now`: milliseconds since
 * 1970.
 */
export function conditionOf(plan: Protected, newest: RunResult | undefined, now: number): PlanCondition {
  return {
    dirtyRate: hourlyRates(plan.changes, now),
    backlog: backlogOf(plan, now),
    limit: newest ? limitOf(newest, plan) : null,
    disks: newest?.disks ?? [],
  };
}

function backlogOf(plan: Protected, now: number): PlanCondition["backlog"] {
  const { state, anchorAt, lastPoint, changes } = plan;
  if (!lastPoint) return { runs: null, bytes: null };
  const from = Date.parse(lastPoint.heldAt);
  return {
    runs: state === "active" ? runsDueBetween(plan, { anchor: Date.parse(anchorAt), from, to: now }) : 0,
    bytes: estimateChange(changes, { from, to: now }) ?? null,
  };
}

/** The stage that takes longest, with one thing to do about it. */
function limitOf(
  { seconds, limitingStage, standby }: RunResult,
  { intervalSeconds }: Pick<Timetable, "intervalSeconds">,
): PlanCondition["limit"] {
  const applying = standby?.state === "applied" ? standby.seconds : 0;
  const stage = applying > seconds ? "apply" : limitingStage;
  const tooLong = intervalSeconds !== undefined && seconds + applying > intervalSeconds;
  const action = tooLong
    ? `A run takes longer than the interval: use a longer one, or: ${adviceFor(stage)}`
    : adviceFor(stage);
  return { stage, seconds: Math.max(seconds, applying), action };
}
