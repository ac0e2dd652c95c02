/** The alarm that a plan misses its RPO: its newest recovery point is older than its timetable allows. */
import type { AgentRecord } from "#shared/domain/agent.ts";
import type { NewAlarm } from "#shared/domain/alarm.ts";
import { lagOf } from "#shared/domain/protection/lag.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import type { Store } from "../store/store.ts";
import { type AlarmDeps, clearAlarm, raiseAlarm } from "./raise.ts";

export interface PlanLateDeps extends AlarmDeps {
  store: Store;
}

/**
 * Raises the alarm if the plan is late, and clears it if the plan is not. In blackout hours an alarm stays as
 * it is. Repeating it is harmless. Throws `NotFoundError`.
 */
export async function reportPlanLag(planId: string, deps: PlanLateDeps): Promise<void> {
  const { store, clock } = deps;
  const plan = await store.plans.get(planId);
  const { lag } = lagOf(plan, clock.now());
  const key = { kind: "plan-late" as const, subject: planId };
  if (lag === "suspended" && plan.state === "active") return;
  if (lag !== "late") {
    await clearAlarm(key, deps);
    return;
  }
  const source = await store.agents.get(plan.sourceId);
  const run = plan.lastRunId === undefined ? undefined : await store.runs.find(plan.lastRunId);
  await raiseAlarm(planLate(plan, source, run), deps);
}

function planLate(plan: PlanRecord, source: AgentRecord, run: RunRecord | undefined): NewAlarm {
  const { id, sourceId, lastPoint, lateAt = plan.createdAt, lastRunId } = plan;
  const newest = lastPoint
    ? `Its newest recovery point holds the machine as of ${lastPoint.heldAt}.`
    : "It has no recovery point yet.";
  const { why, action } = causeOf(source, run);
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
function causeOf(
  { name, revokedAt, presence, lastSeenAt }: AgentRecord,
  run: RunRecord | undefined,
): { why: string; action: string } {
  if (revokedAt)
    return { why: `${name} was revoked at ${revokedAt}.`, action: "Enrol it again, or delete the plan." };
  if (presence.state === "disconnected")
    return {
      why: `Its agent is disconnected${lastSeenAt ? ` since ${lastSeenAt}` : ""}.`,
      action: `Start ${name}, its agent, or its connection to the control plane.`,
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
    action: "`causeway plans` shows its progress; if it always takes this long, use a longer interval.",
  };
}
