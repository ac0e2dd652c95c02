import type { CommandRecord } from "#shared/domain/command.ts";
import { type CutoverRecord, isBefore } from "#shared/domain/cutover/cutover.ts";
import { forecastCutover, type MeasuredRun } from "#shared/domain/cutover/forecast.ts";
import { scriptLack } from "#shared/domain/cutover/new-cutover.ts";
import { rehearsalOf } from "#shared/domain/cutover/rehearsal.ts";
import { type DatedForecast, deadlineIn } from "#shared/domain/cutover/start.ts";
import { openingFrom } from "#shared/domain/cutover/window.ts";
import { askerLack } from "#shared/domain/isolated-checks.ts";
import { serviceLack } from "#shared/domain/listed-services.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import type { StoreDeps } from "../store/deps.ts";
import type { Store } from "../store/store.ts";
import { measuredParts } from "./measured-parts.ts";

/** Older ones say little about the source and the target host as they are. */
const MOST_RUNS = 24;

/** A cutover with its commands. */
interface Asked {
  record: CutoverRecord;
  commands: readonly CommandRecord[];
}

/**
 * How long the outage would be if the cutover began now, or at its next opening; what was forecast, once it
 * has begun.
 */
export async function forecastFor(asked: Asked, deps: StoreDeps): Promise<DatedForecast | null> {
  return isBefore(asked.record) ? freshForecast(asked, deps) : asked.record.forecast;
}

/** How long the outage is to be, from what was measured of this source and on this target host until now. */
export async function freshForecast(
  { record: cutover, commands }: Asked,
  { store, clock }: StoreDeps,
): Promise<DatedForecast> {
  const now = clock.now();
  const completed = await completedRuns(cutover, store);
  const history = { runs: measuredRuns(completed), ...(await measuredParts(cutover, store)) };
  const secondsLeft = Math.max(0, (deadlineOf(cutover, now) - now) / 1000);
  const at = new Date(now).toISOString();
  const question = {
    ...{ quiesce: cutover.quiesce, bytesToScan: await bytesInUse(cutover, completed, store) },
    ...{ adapts: cutover.adaptation !== undefined, switchesOff: cutover.switchSourceOff },
    ...{ answersIsolated: cutover.isolatedCheck !== undefined },
    ...{ answers: cutover.check !== undefined, secondsLeft, ...proofOf(cutover) },
  };
  const forecast = { ...forecastCutover(history, question), at };
  const advice = (await lackAdvice(cutover, store)) ?? rehearsalAdvice(cutover, commands);
  return advice === undefined ? forecast : { ...forecast, fits: false, advice };
}

/** Only a restarted source is read in the outage; the rehearsal shows how long its target host takes. */
function proofOf({ restart, proveSeconds, proof }: CutoverRecord) {
  return restart ? { proveSeconds, comparedSeconds: proof?.compared?.seconds } : {};
}

/** What failed on a clone would fail in the outage. */
function rehearsalAdvice(cutover: CutoverRecord, commands: readonly CommandRecord[]): string | undefined {
  const failure = rehearsalOf(cutover, commands)?.failure;
  if (!failure) return undefined;
  const again = `After that, cancel this cutover and create it again: \`causeway cutover cancel ${cutover.id}\`.`;
  return `It failed on a clone: ${failure.message}. ${failure.hint} ${again}`;
}

/** What was there when the cutover was created may have been removed since: a service, a script, a tool. */
async function lackAdvice(
  { sourceId, targetId, script, isolatedCheck }: CutoverRecord,
  { agents }: Store,
): Promise<string | undefined> {
  const source = await agents.find(sourceId);
  const target = await agents.find(targetId);
  const lack =
    serviceLack(sourceId, source?.inventory ?? {}) ??
    scriptLack(script, target) ??
    (isolatedCheck && askerLack(target));
  return lack && `It would not succeed: ${lack.message}. ${lack.hint}`;
}

/** Of the opening that is open or open next; as if that opened now. Milliseconds since 1970. */
function deadlineOf(cutover: CutoverRecord, now: number): number {
  if (cutover.deadlineAt !== undefined) return Date.parse(cutover.deadlineAt);
  const opening = openingFrom(cutover.windows, now);
  return opening ? deadlineIn(opening, cutover) - Math.max(0, opening.opensAt - now) : now;
}

type CompletedRun = ReturnType<typeof workOf>;

/** Oldest first. */
async function completedRuns({ planId }: CutoverRecord, store: Store): Promise<CompletedRun[]> {
  const { items } = await store.runs.page(planId, { limit: MOST_RUNS });
  const completed = items.flatMap((run) =>
    run.state === "completed" && run.result && run.endedAt ? [workOf(run, run.result, run.endedAt)] : [],
  );
  return completed.reverse();
}

function measuredRuns(oldestFirst: readonly CompletedRun[]): MeasuredRun[] {
  // In an outage nothing else keeps the agents, as in the quicker runs: the others can have waited for one
  // that was away, or that started another machine.
  const besides = lowerQuartile(oldestFirst.map((run) => run.besidesSeconds));
  return oldestFirst.slice(1).map(({ startedAt, captureSeconds, scannedBytes = 0, ...run }, index) => ({
    ...{ changedBytes: run.changedBytes, applySeconds: run.applySeconds },
    captureSeconds: captureSeconds + besides,
    sinceSeconds: secondsBetween(oldestFirst[index]?.startedAt ?? startedAt, startedAt),
    ...(2 * run.changedBytes < scannedBytes ? { scannedBytes } : {}),
  }));
}

/** What the source's disks have in use, by the last run that read it, or else their sizes. */
async function bytesInUse(
  { sourceId, disks }: CutoverRecord,
  completed: readonly CompletedRun[],
  { agents }: Store,
): Promise<number> {
  const last = completed.findLast(({ scannedBytes }) => scannedBytes !== undefined)?.scannedBytes;
  if (last !== undefined) return last;
  const known = (await agents.find(sourceId))?.inventory?.disks ?? [];
  return known.filter(({ name }) => disks.includes(name)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/**
 * `besidesSeconds`: what the workflow of a run did besides both copies, which is in an outage, too.
 * `scannedBytes`: what it read, if it read everything in use; absent if a tracker said what to read.
 */
function workOf({ startedAt }: RunRecord, result: NonNullable<RunRecord["result"]>, endedAt: string) {
  const { changedBytes, seconds: captureSeconds, standby } = result;
  const applySeconds = standby?.state === "applied" ? standby.seconds : undefined;
  const work = captureSeconds + (applySeconds ?? 0);
  const besidesSeconds = Math.max(0, secondsBetween(startedAt, endedAt) - work);
  const isScan = result.disks.every(({ mode }) => mode === "hash-scan");
  const scannedBytes = isScan ? result.bytesRead : undefined;
  return { startedAt, changedBytes, captureSeconds, applySeconds, besidesSeconds, scannedBytes };
}

function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? 0;
}
