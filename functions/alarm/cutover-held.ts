/** The alarm that a cutover did not begin when it was to, or was not done. */
import type { NewAlarm } from "#shared/domain/alarm.ts";
import { type CutoverRecord, isBefore } from "#shared/domain/cutover/cutover.ts";
import { openingFrom } from "#shared/domain/cutover/window.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

const KIND = "cutover-held";

/**
 * Raises the alarm if the forecast held the cutover back, if it waits and no window is left, if it has
 * committed and its machine does not serve by the deadline, if it failed or was rolled back and not as a
 * person asked, if what it made could not be removed, or if its source was to shut down and did not say that
 * it does, or took that back; clears it otherwise. Repeating it is harmless.
 */
export async function settleCutoverAlarm(cutover: CutoverRecord, deps: ReportDeps): Promise<void> {
  const { id, sourceId, state, heldBack, failure, removal } = cutover;
  const words = wordsFor(cutover, deps.clock.now());
  if (!words) {
    await clearAlarm({ kind: KIND, subject: id }, deps);
    return;
  }
  const source = await deps.store.agents.get(sourceId);
  const alarm: NewAlarm = {
    kind: KIND,
    subject: id,
    sourceId,
    sourceName: source.name,
    since: cutover.endedAt ?? heldBack?.at ?? cutover.createdAt,
    cause: words.why,
    action: words.action,
    details: {
      ...{ cutoverId: id, state, failure: failure?.name, sourceServes: cutover.sourceServes },
      removal: removal?.state,
    },
  };
  await raiseAlarm(alarm, deps);
}

/** Whether its alarm is open, and says that what it made could not be removed. */
export async function alarmNamesRemoval(id: string, { store }: Pick<ReportDeps, "store">): Promise<boolean> {
  const alarm = await store.alarms.find({ kind: KIND, subject: id });
  return alarm?.state === "open" && alarm.details?.removal === "failed";
}

/** `undefined` if nothing is wrong. */
function wordsFor(cutover: CutoverRecord, now: number): { why: string; action: string } | undefined {
  const { id, targetId, state, heldBack, failure, sourceOff, sourceServes, windows, deadlineAt } = cutover;
  if (isBefore(cutover) && !openingFrom(windows, now))
    return {
      why: `Cutover ${id} did not begin, and none of its windows is left.`,
      action: `Name others with \`causeway cutover edit ${id} --window …\`, or cancel it.`,
    };
  if (state === "waiting" && heldBack)
    return { why: `Cutover ${id} did not begin, because of its forecast.`, action: heldBack.why };
  if (state === "committing" && deadlineAt !== undefined && now >= Date.parse(deadlineAt))
    return {
      why: `The machine of cutover ${id} has the right to run, but does not serve yet; the source stays fenced.`,
      action: `See to target host ${targetId}: \`causeway cutover show ${id}\` says how far it is.`,
    };
  if (state === "completed" && sourceOff === "unknown")
    return {
      why: `The machine of cutover ${id} serves, and it is unknown whether the source is off: both may have the same addresses.`,
      action: "Switch the source off, or its network card, then clear the alarm.",
    };
  const left = leftWords(cutover);
  if (state === "cancelled" && left)
    return { why: `Cutover ${id} was cancelled.${left.why}`, action: left.action };
  if (state !== "rolled-back" && state !== "failed") return undefined;
  // A person asked for it, and all of it was done.
  if (failure?.name === "CutoverStoppedError" && sourceServes === "yes" && !left) return undefined;
  const serves = sourceServes === "unknown" ? " It is unknown whether the source serves again." : "";
  const off =
    sourceOff === "unknown"
      ? " It is unknown whether the source is off: make sure before you connect the machine."
      : "";
  const done = state === "failed" ? "failed" : "was rolled back";
  return {
    why: `Cutover ${id} ${done}: ${failure?.message ?? "for an unknown reason"}.${serves}${off}${left?.why ?? ""}`,
    action: [failure?.hint ?? `\`causeway cutover show ${id}\` says how far it was.`, left?.action]
      .filter((one) => one !== undefined)
      .join(" "),
  };
}

/** `undefined` unless what it made could not be removed. */
function leftWords({ id, targetId, removal }: CutoverRecord): { why: string; action: string } | undefined {
  if (removal?.state !== "failed") return undefined;
  const reason = removal.failure?.message ?? "for an unknown reason";
  return {
    why: ` Target host ${targetId} could not remove its machine and disks: ${reason}.`,
    action: `See to the target host: it is asked again for a day, and then with \`causeway machine remove ${id} --disks\`.`,
  };
}
