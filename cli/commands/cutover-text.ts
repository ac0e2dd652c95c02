/** How a cutover is shown to people. */
import { OUTAGE_PART_TITLES } from "#shared/domain/cutover/outage-parts.ts";
import type { Cutover, NetworkCheck } from "#shared/protocol/cutover.ts";
import type { CutoverForecast } from "#shared/protocol/cutover-forecast.ts";
import { whereaboutsInWords } from "#shared/protocol/machine.ts";
import { quiesces } from "#shared/protocol/quiesce.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import { duration } from "#shared/units.ts";
import { oneLine, table } from "../terminal.ts";
import { describeAddresses } from "./address-text.ts";
import { describeNotes } from "./described-adaptation.ts";
import { describeDisk } from "./disk-text.ts";
import { describeIdentity } from "./identity-text.ts";
import { timesText } from "./plan-text.ts";
import { describeProof } from "./proof-text.ts";

export function describeCutover(cutover: Cutover): string {
  const { id, version, sourceId, targetId, planId, state, mode, failure, machine, answer } = cutover;
  const lines = [`${id} of source ${sourceId} to target host ${targetId}: ${state}`];
  lines.push(
    `  version ${version}, plan ${planId}, ${mode === "automatic" ? "begins when a window opens" : "waits for a person's go"}`,
  );
  lines.push(`  quiesced ${cutover.quiesce}: ${quiesces[cutover.quiesce].summary}`);
  const isStopping = state === "rolling-back" || state === "cancelling";
  const isOver = isStopping || cutover.endedAt !== undefined;
  if (!isOver) lines.push(`  window ${describeWindow(cutover)}`);
  if (cutover.syncs)
    lines.push(
      `  until then its plan copies what has changed ${timesText(cutover.syncs)}, ${cutover.syncs.nextRunAt ? `next at ${cutover.syncs.nextRunAt}` : "and is paused now"}`,
    );
  if ((cutover.needsApproval && !isOver) || cutover.approved) lines.push(`  ${describeApproval(cutover)}`);
  if (cutover.go) lines.push(`  ${cutover.go.by} said go at ${cutover.go.at}`);
  if (cutover.heldBack) lines.push(`  held back at ${cutover.heldBack.at}: ${oneLine(cutover.heldBack.why)}`);
  lines.push(...describeForecast(cutover).map((line) => `  ${line}`));
  if (!isStopping) lines.push(...describeRemaining(cutover).map((line) => `  ${line}`));
  const idle = (cutover.fencedUnits ?? []).filter(({ state }) => state === "stopped").map(({ name }) => name);
  if (idle.length > 0)
    lines.push(
      `  does not run now, so the outage stops nothing of it: ${idle.join(", ")}; are the names right?`,
    );
  if (cutover.missingBridges)
    lines.push(
      `  target host ${targetId} had no ${cutover.missingBridges.join(", ")} when its agent connected: make it before the window`,
    );
  lines.push(...describeIdentity(cutover.identity).map((line) => `  ${line}`));
  lines.push(...describeAddresses(cutover.addresses).map((line) => `  ${line}`));
  lines.push(...(cutover.networkChecks ?? []).map((one) => `  ${describeNetworkCheck(one)}`));
  if (cutover.rehearsal) lines.push(`  rehearsal on a clone: ${describeRehearsal(cutover.rehearsal)}`);
  if (cutover.adapted) lines.push(`  ${describeAdapted(cutover.adapted)}`);
  lines.push(...describeNotes(cutover.notes).map((line) => `  ${line}`));
  if (cutover.proof) lines.push(...describeProof(cutover.proof).map((line) => `  ${line}`));
  else if (cutover.proveSeconds !== undefined) lines.push("  the copy is not proved yet");
  if (cutover.runs.length > 0)
    lines.push(`  runs ${cutover.runs.map((run) => `${run.id} (${run.phase})`).join(", ")}`);
  lines.push(`  ${describeStates(cutover)}`);
  if (machine) lines.push(`  the machine ${machine.name} (${machine.hypervisor}) runs in the source's place`);
  lines.push(...(cutover.disks ?? []).map((disk) => `  ${describeDisk(disk)}`));
  if (answer && cutover.outageSeconds !== null)
    lines.push(`  outage ${duration(cutover.outageSeconds)}: ${oneLine(answer.reason)}`);
  if (cutover.sourceOff)
    lines.push(
      cutover.sourceOff === "announced"
        ? "  the source has said that it shuts down"
        : "  it is unknown whether the source is off",
    );
  if (cutover.sourceServes)
    lines.push(
      cutover.sourceServes === "yes"
        ? "  the source serves again"
        : "  it is unknown whether the source serves again",
    );
  if (cutover.removal) lines.push(...describeRemoval(cutover).map((line) => `  ${line}`));
  if (cutover.whereabouts) lines.push(`  the source is ${whereaboutsInWords(cutover.whereabouts)}`);
  if (failure) lines.push(`  ${failure.name}: ${oneLine(failure.message)}`);
  // The failure's hint is about what is true once it has ended.
  if (isStopping)
    lines.push(`  it is not over yet: \`causeway cutover show ${id} --wait\` follows it to its end`);
  else if (failure) lines.push(`  ${oneLine(failure.hint)}`);
  return lines.join("\n");
}

function describeRemoval({ id, targetId, removal }: Cutover): string[] {
  if (removal?.state === "done") return [`target host ${targetId} has removed what it made`];
  if (removal?.state === "asked")
    return [`target host ${targetId} has not said yet that it removed what it made`];
  const reason = removal?.failure?.message ?? "for an unknown reason";
  return [
    `target host ${targetId} could not remove what it made: ${oneLine(reason)}`,
    `it is asked again for a day, and then with \`causeway machine remove ${id} --disks\``,
  ];
}

export function describeForecast({ forecast }: Pick<Cutover, "forecast">): string[] {
  if (!forecast) return [];
  const { outageSeconds, low, high, fits, basis, advice, parts } = forecast;
  const range = `${duration(low)} to ${duration(high)}`;
  return [
    `forecast: an outage of ${duration(outageSeconds)} (${range}, ${basis}), which ${fits ? "fits" : "does not fit"}`,
    ...describeRestart(parts),
    ...(advice === undefined ? [] : [oneLine(advice)]),
  ];
}

/** A line for each part of the outage, in their order; none if there is no forecast. */
export function describeOutageParts({
  forecast,
  outageParts,
}: Pick<Cutover, "forecast" | "outageParts">): string[] {
  if (!forecast) return [];
  const took = new Map(outageParts?.map(({ part, seconds }) => [part, duration(seconds)]));
  const rows = forecast.parts.map((part) => [
    OUTAGE_PART_TITLES[part.part],
    duration(part.seconds),
    `${duration(part.low)} to ${duration(part.high)}`,
    part.measured ? "measured" : GUESSES[part.guessedFrom ?? "nothing"],
    ...(outageParts ? [took.get(part.part) ?? ""] : []),
  ]);
  const columns = ["PART", "EXPECTED", "RANGE", "BASIS", ...(outageParts ? ["TOOK"] : [])];
  return table(columns, rows, "").split("\n");
}

/** What is left of an outage that has begun, by its forecast. */
function describeRemaining({ forecast, outageParts, endedAt }: Cutover): string[] {
  if (!forecast || !outageParts || endedAt !== undefined) return [];
  const over = new Set(outageParts.map(({ part }) => part));
  const left = forecast.parts.filter(({ part }) => !over.has(part));
  const seconds = left.reduce((sum, part) => sum + part.seconds, 0);
  return left.length === 0 ? [] : [`of the outage, about ${duration(seconds)} are left`];
}

function describeAdapted({ changes, stale, computeSeconds, applySeconds }: NonNullable<Cutover["adapted"]>) {
  const [why] = stale;
  const again =
    computeSeconds === 0
      ? ""
      : `; they were computed again in ${duration(computeSeconds)}${why === undefined ? "" : `: ${oneLine(why)}`}`;
  return `the system was adapted in ${duration(applySeconds)}, by ${changes} changes of files${again}`;
}

type Part = CutoverForecast["parts"][number];

const GUESSES: Record<NonNullable<Part["guessedFrom"]>, string> = {
  "another-machine": "guessed from another machine of the source",
  "other-sources": "guessed from other sources",
  nothing: "guessed",
};

/** What it costs that the source is read in the boot environment, if it is. */
function describeRestart(parts: NonNullable<Cutover["forecast"]>["parts"]): string[] {
  const [start, scan] = ["boot-environment", "scan"].map((name) => parts.find(({ part }) => part === name));
  if (!start || !scan) return [];
  const took = ({ seconds, measured }: typeof scan) => `${duration(seconds)}${measured ? "" : " (guessed)"}`;
  return [`of this, the boot environment starts in ${took(start)}, and reads all disks in ${took(scan)}`];
}

/** How long it was in each state, in order; it is in the last one. */
function describeStates({ states }: Cutover): string {
  const each = states.map(({ name, at }, index) => {
    const next = states[index + 1];
    return next ? `${name} ${duration(secondsBetween(at, next.at))}` : name;
  });
  return `states since ${states[0]?.at}: ${each.join(", ")}`;
}

function describeNetworkCheck({ check, beforeCommit, why = "" }: NetworkCheck): string {
  if (beforeCommit === "yes") return `${check} must answer before the commit, and again after it`;
  return beforeCommit === "by-name"
    ? `${check} must answer after the commit, and before it ${oneLine(why)}`
    : `${check} is asked only after the commit, when there is no way back: ${oneLine(why)}`;
}

function describeRehearsal({ state, isDefinable, changes, failure }: NonNullable<Cutover["rehearsal"]>) {
  if (state === "running") return "under way";
  if (state === "failed") return `failed: ${oneLine(failure?.message ?? "for an unknown reason")}`;
  const found = [
    ...(isDefinable ? ["the target host can define the machine"] : []),
    ...(changes === undefined ? [] : [`${changes} changes of files are computed`]),
  ];
  return found.join("; ");
}

function describeWindow({ window, deadlineAt }: Cutover): string {
  if (deadlineAt !== null) return `is open; rolled back at ${deadlineAt} unless it has committed`;
  return window ? `from ${window.opensAt} to ${window.closesAt}` : "none is left";
}

function describeApproval({ id, version, approved }: Cutover): string {
  if (approved) return `approved by ${approved.by} at ${approved.at}`;
  return `another person still has to approve it: causeway cutover approve ${id} --version ${version}`;
}
