/** The alarm that a plan misses its RPO: its newest recovery point is older than its timetable allows. */
import type { AgentRecord } from "#shared/domain/agent.ts";
import type { NewAlarm } from "#shared/domain/alarm.ts";
import { lagOf } from "#shared/domain/protection/lag.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

/** A timer fires within a minute, and its call is repeated for another. */
const OVERDUE_AFTER_MS = 5 * 60_000;

/**
 * Raises the alarm if the plan is late, and clears it if the plan is not. In blackout hours an alarm stays as
 * it is. Repeating it is harmless. Throws `NotFoundError`.
 */
export async function reportPlanLag(planId: string, deps: ReportDeps): Promise<void> {
  const { store, clock } = deps;
  const plan = await store.plans.get(planId);
  if (!isLate(plan, clock.now())) return clearUnlessLate(plan, deps);
  const source = await store.agents.get(plan.sourceId);
  const run = plan.lastRunId === undefined ? undefined : await store.runs.find(plan.lastRunId);
  await raiseAlarm(planLate(plan, { source, run, now: clock.now() }), deps);
  // A run may have made a point since the plan was read, before there was an alarm to clear.
  await clearUnlessLate(await store.plans.get(planId), deps);
}

/** Whether the time of its next run has passed without a run. `now`: milliseconds since 1970. */
export function isOverdue({ nextRunAt }: PlanRecord, now: number): boolean {
  return nextRunAt !== undefined && now - Date.parse(nextRunAt) > OVERDUE_AFTER_MS;
}

async function clearUnlessLate(plan: PlanRecord, deps: ReportDeps): Promise<void> {
  const { lag } = lagOf(plan, deps.clock.now());
  const isBlackout = lag === "suspended" && plan.state === "active";
  if (lag !== "late" && !isBlackout) await clearAlarm({ kind: "plan-late", subject: plan.id }, deps);
}

function isLate(plan: PlanRecord, now: number): boolean {
  return lagOf(plan, now).lag === "late";
}

interface Circumstances {
  source: AgentRecord;
  run: RunRecord | undefined;
  now: number;
}

function planLate(plan: PlanRecord, given: Circumstances): NewAlarm {
  const { source } = given;
  const { id, sourceId, lastPoint, lateAt = plan.createdAt, lastRunId } = plan;
  const newest = lastPoint
    ? `Its newest recovery point holds the machine as of ${lastPoint.heldAt}.`
    : "It has no recovery point yet.";
  const { why, action } = causeOf(plan, given);
  return {
    kind: "plan-late",
    subject: id,
    sourceId,
    sourceName: source.name,
    since: lateAt,
    cause: `Plan ${id} of ${source.name} is late since ${lateAt}. ${newest} ${why}`,
    action,
    details: { planId: id, lastRunId, heldAt: lastPoint?.heldAt },
  };
}

/** Why no recovery point was made, and one thing to do about it. */
function causeOf(plan: PlanRecord, { source, run, now }: Circumstances): { why: string; action: string } {
  const { name, revokedAt, presence, lastSeenAt } = source;
  if (revokedAt)
    return { why: `${name} was revoked at ${revokedAt}.`, action: "Enrol it again, or delete the plan." };
  if (presence.state === "disconnected")
    return {
      why: `Its agent is disconnected${lastSeenAt ? ` since ${lastSeenAt}` : ""}.`,
      action: `Start ${name}, its agent, or its connection to the control plane.`,
    };
  if (isOverdue(plan, now))
    return {
      why: `The run that was due at ${plan.nextRunAt} has not begun.`,
      action: "It is begun now. If this happens again, look for errors in the log of `schedule/run-plan`.",
    };
  if (!run) return { why: "No run has started.", action: "`causeway plans` says when the next run is due." };
  if (run.failure) return { why: `Run ${run.id} failed: ${run.failure.message}.`, action: run.failure.hint };
  if (run.state === "skipped")
    return {
      why: `Run ${run.id} was skipped: ${run.reason ?? "no reason is known"}.`,
      action: "Let what holds the source finish, or use a longer interval.",
    };
  if (run.endedAt) return { why: `Run ${run.id} ended at ${run.endedAt}.`, action: "Use a longer interval." };
  return {
    why: `Run ${run.id} is running since ${run.startedAt}.`,
    action: `The log of ${name}'s agent says if the object store or the control plane does not answer; if a run always takes this long, use a longer interval.`,
  };
}
