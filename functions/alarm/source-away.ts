/** The alarm that a conversion or a cutover has ended while its source is away. */
import type { AgentRecord } from "#shared/domain/agent.ts";
import type { NewAlarm } from "#shared/domain/alarm.ts";
import { type ConversionRecord, hasEnded } from "#shared/domain/conversion.ts";
import { cutoverHasEnded } from "#shared/domain/cutover/cutover.ts";
import { isAway, type WhereaboutsRecord } from "#shared/domain/whereabouts.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

/** Raises the alarm if what restarted the source has ended with it away. Repeating it is harmless. */
export async function reportSourceAway(restarterId: string, deps: ReportDeps): Promise<void> {
  const restarter = await restarterOf(restarterId, deps);
  const { whereabouts, hasEnded } = restarter;
  if (!hasEnded || !whereabouts || !isAway(whereabouts)) return;
  const source = await deps.store.agents.get(restarter.sourceId);
  await raiseAlarm(sourceAway(restarter, whereabouts, source), deps);
  // It may have come back since that was read, before there was an alarm to clear.
  await clearIfBack(restarterId, deps);
}

/** Clears the alarm if the source is back and known to start as before. */
export async function clearIfBack(restarterId: string, deps: ReportDeps): Promise<void> {
  const alarm = { kind: "source-away" as const, subject: restarterId };
  if ((await deps.store.alarms.find(alarm)) === undefined) return;
  const { whereabouts } = await restarterOf(restarterId, deps);
  if (whereabouts && !isAway(whereabouts)) await clearAlarm(alarm, deps);
}

/** What restarted a source. */
interface Restarter extends Pick<ConversionRecord, "id" | "sourceId" | "failure" | "whereabouts"> {
  /** `Conversion` or `Cutover`. */
  what: string;
  state: string;
  hasEnded: boolean;
  /** The command line that shows it. */
  shownBy: string;
}

async function restarterOf(id: string, { store }: ReportDeps): Promise<Restarter> {
  if (ownerKind(id) === "cutover") {
    const cutover = await store.cutovers.get(id);
    const words = { what: "Cutover", shownBy: `causeway cutover show ${id}` };
    return { ...cutover, ...words, hasEnded: cutoverHasEnded(cutover) };
  }
  const conversion = await store.conversions.get(id);
  const words = { what: "Conversion", shownBy: `causeway conversions ${id}` };
  return { ...conversion, ...words, hasEnded: hasEnded(conversion) };
}

function sourceAway(
  restarter: Restarter,
  whereabouts: WhereaboutsRecord,
  { name, environment, lastSeenAt }: AgentRecord,
): NewAlarm {
  const { id, what, sourceId, state, failure } = restarter;
  const isThere = whereabouts.location === "original";
  const system = environment === "original" ? "its original system" : "its boot environment";
  const seen = lastSeenAt ? `it was last seen in ${system} at ${lastSeenAt}` : "it was never seen";
  const why = failure && state !== "cancelled" ? ` (${failure.name}: ${failure.message})` : "";
  const ended = state === "rolled-back" ? "was rolled back" : state;
  return {
    kind: "source-away",
    subject: id,
    sourceId,
    sourceName: name,
    since: whereabouts.since,
    cause: isThere
      ? `${what} ${id} ${ended}${why}. ${name} runs its original system, but its agent has not confirmed that the machine was disarmed.`
      : `${what} ${id} ${ended}${why}, and ${name} has not come back to its original system: ${seen}.`,
    action: actionFor(whereabouts, restarter),
    details: {
      [`${what.toLowerCase()}Id`]: id,
      lastSystem: environment,
      lastSeenAt,
      bootState: whereabouts.bootState,
    },
  };
}

/** See docs/operations.md, "A machine does not come back from a cold clone". */
function actionFor({ location, bootState }: WhereaboutsRecord, { shownBy }: Restarter): string {
  const look = `\`${shownBy}\` says where it is.`;
  if (location === "original")
    return `Make sure that the agent is running on the machine: it undoes what is left of arming. ${look}`;
  const start =
    bootState === "armed"
      ? "it may start the boot environment once, and returns from there to its original system"
      : "it starts its original system";
  return `If it is not back in ten minutes, look at its screen. If nothing moves there, switch it off and on: ${start}. ${look}`;
}
