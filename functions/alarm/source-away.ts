/** The alarm that a conversion has ended while its source is away. */
import type { AgentRecord } from "#shared/domain/agent.ts";
import type { NewAlarm } from "#shared/domain/alarm.ts";
import { type ConversionRecord, hasEnded } from "#shared/domain/conversion.ts";
import { isAway, type WhereaboutsRecord } from "#shared/domain/whereabouts.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

/** Raises the alarm if the conversion has ended with its source away. Repeating it is harmless. */
export async function reportSourceAway(conversionId: string, deps: ReportDeps): Promise<void> {
  const { conversions, agents } = deps.store;
  const conversion = await conversions.get(conversionId);
  const { whereabouts } = conversion;
  if (!hasEnded(conversion) || !whereabouts || !isAway(whereabouts)) return;
  const source = await agents.get(conversion.sourceId);
  await raiseAlarm(sourceAway(conversion, whereabouts, source), deps);
  // It may have come back since the conversion was read, before there was an alarm to clear.
  await clearIfBack(conversionId, deps);
}

/** Clears the alarm if the source is back and known to start as before. */
export async function clearIfBack(conversionId: string, deps: ReportDeps): Promise<void> {
  const alarm = { kind: "source-away" as const, subject: conversionId };
  if ((await deps.store.alarms.find(alarm)) === undefined) return;
  const { whereabouts } = await deps.store.conversions.get(conversionId);
  if (whereabouts && !isAway(whereabouts)) await clearAlarm(alarm, deps);
}

function sourceAway(
  conversion: ConversionRecord,
  whereabouts: WhereaboutsRecord,
  { name, environment, lastSeenAt }: AgentRecord,
): NewAlarm {
  const { id, sourceId, state, failure } = conversion;
  const isThere = whereabouts.location === "original";
  const system = environment === "original" ? "its original system" : "its boot environment";
  const seen = lastSeenAt ? `it was last seen in ${system} at ${lastSeenAt}` : "it was never seen";
  const why = failure && state !== "cancelled" ? ` (${failure.name}: ${failure.message})` : "";
  return {
    kind: "source-away",
    subject: id,
    sourceId,
    sourceName: name,
    since: whereabouts.since,
    cause: isThere
      ? `Conversion ${id} ${state}${why}. ${name} runs its original system, but its agent has not confirmed that the machine was disarmed.`
      : `Conversion ${id} ${state}${why}, and ${name} has not come back to its original system: ${seen}.`,
    action: actionFor(whereabouts, id),
    details: { conversionId: id, lastSystem: environment, lastSeenAt, bootState: whereabouts.bootState },
  };
}

/** See docs/operations.md, "A machine does not come back from a cold clone". */
function actionFor({ location, bootState }: WhereaboutsRecord, conversionId: string): string {
  const look = `\`causeway conversions ${conversionId}\` says where it is.`;
  if (location === "original")
    return `Make sure that the agent is running on the machine: it undoes what is left of arming. ${look}`;
  const start =
    bootState === "armed"
      ? "it may start the boot environment once, and returns from there to its original system"
      : "it starts its original system";
  return `If it is not back in ten minutes, look at its screen. If nothing moves there, switch it off and on: ${start}. ${look}`;
}
