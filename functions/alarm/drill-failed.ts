/** The alarm that a plan's scheduled drill did not see its recovery point boot. */
import type { NewAlarm } from "#shared/domain/alarm.ts";
import type { DrillRecord } from "#shared/domain/drill.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import { timestamp } from "../conversion/deps.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

const KIND = "drill-failed";

/**
 * Raises the alarm if a scheduled drill came to another verdict than `booted`, or to none, or if it is
 * unknown whether the files that it was to compare are right, and clears it otherwise. A drill that an
 * operator started, or cancelled, and one that is older than the plan's last drill, change nothing. Repeating
 * it is harmless.
 */
export async function reportDrill(drill: DrillRecord, deps: ReportDeps): Promise<void> {
  const { planId, result, proof } = drill;
  if (planId === undefined) return;
  const plan = await deps.store.plans.get(planId);
  const isOlder = plan.lastDrillId !== undefined && plan.lastDrillId > drill.id;
  if (isOlder || !plan.drills || plan.state === "deleted") return;
  if (result && result.verdict !== "booted") await raise(plan, drill, verdictOf(drill, result), deps);
  else if (result && proof?.outcome === "unknown") await raise(plan, drill, unprovedOf(drill, proof), deps);
  else if (result) await clearAlarm({ kind: KIND, subject: planId }, deps);
  else if (drill.failure) await raise(plan, drill, failureOf(drill, drill.failure), deps);
}

/** Raises the alarm because a drill that was due could not begin. Repeating it is harmless. */
export async function reportNoDrill(plan: PlanRecord, words: Words, deps: ReportDeps): Promise<void> {
  const due = `The drill of plan ${plan.id} that was due at ${plan.drillDueAt ?? "an unknown time"} did not begin.`;
  await raise(plan, undefined, { ...words, why: `${due} ${words.why}` }, deps);
}

/** Clears the alarm of a plan that is deleted or has no drills any more. */
export async function settleDrillAlarm(plan: PlanRecord, deps: ReportDeps): Promise<void> {
  if (plan.state === "deleted" || !plan.drills) await clearAlarm({ kind: KIND, subject: plan.id }, deps);
}

interface Words {
  why: string;
  action: string;
}

function verdictOf({ id, pointId, planId }: DrillRecord, result: NonNullable<DrillRecord["result"]>): Words {
  const which = `recovery point ${pointId} of plan ${planId}`;
  return result.verdict === "unknown"
    ? {
        why: `It is unknown whether ${which} boots: ${result.reason}.`,
        action: `\`causeway drills ${id}\` shows the evidence. Drill it again: \`causeway drill ${pointId} --target TARGET\`.`,
      }
    : {
        why: `The clone of ${which} did not boot: ${result.reason}.`,
        action: `\`causeway drills ${id}\` shows the evidence. Look at it, then drill an older point.`,
      };
}

function unprovedOf(
  { id, pointId, planId }: DrillRecord,
  { reason }: { reason?: string | undefined },
): Words {
  return {
    why: `Recovery point ${pointId} of plan ${planId} boots, but it is unknown whether its files are right: ${reason ?? "for an unknown reason"}.`,
    action: `\`causeway drills ${id}\` shows what was compared. Drill it again: \`causeway drill ${pointId} --target TARGET --prove\`.`,
  };
}

function failureOf({ id, planId }: DrillRecord, { message, hint }: { message: string; hint: string }): Words {
  return { why: `Drill ${id} of plan ${planId} came to no verdict: ${message}.`, action: hint };
}

async function raise(
  plan: PlanRecord,
  drill: DrillRecord | undefined,
  { why, action }: Words,
  deps: ReportDeps,
): Promise<void> {
  const source = await deps.store.agents.get(plan.sourceId);
  const alarm: NewAlarm = {
    kind: KIND,
    subject: plan.id,
    sourceId: plan.sourceId,
    sourceName: source.name,
    since: drill?.judgedAt ?? drill?.endedAt ?? plan.drillDueAt ?? timestamp(deps.clock),
    cause: why,
    action,
    details: {
      planId: plan.id,
      drillId: drill?.id,
      pointId: drill?.pointId,
      verdict: drill?.result?.verdict,
    },
  };
  await raiseAlarm(alarm, deps);
}
