import type { CommandRecord } from "#shared/domain/command.ts";
import { type CutoverRecord, isBefore } from "#shared/domain/cutover/cutover.ts";
import { forecastCutover, type MeasuredRun } from "#shared/domain/cutover/forecast.ts";
import { rehearsalOf } from "#shared/domain/cutover/rehearsal.ts";
import { type DatedForecast, deadlineIn } from "#shared/domain/cutover/start.ts";
import { openingFrom } from "#shared/domain/cutover/window.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import type { StoreDeps } from "../store/deps.ts";
import type { Store } from "../store/store.ts";
import { measuredParts } from "./measured-parts.ts";
import { secondsBetween } from "./seconds-between.ts";

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
  const history = { runs: await measuredRuns(cutover, store), ...(await measuredParts(cutover, store)) };
  const secondsLeft = Math.max(0, (deadlineOf(cutover, now) - now) / 1000);
  const at = new Date(now).toISOString();
  const question = {
    ...{ cold: false, adapts: cutover.adaptation !== undefined, switchesOff: cutover.switchSourceOff },
    ...{ answers: cutover.check !== undefined, secondsLeft },
  };
  const forecast = { ...forecastCutover(history, question), at };
  const failure = rehearsalOf(commands)?.failure;
  // What failed on a clone would fail in the outage.
  const advice = failure && `Its system could not be adapted: ${failure.message}. ${failure.hint}`;
  return advice === undefined ? forecast : { ...forecast, fits: false, advice };
}

/** Of the opening that is open or open next; as if that opened now. Milliseconds since 1970. */
function deadlineOf(cutover: CutoverRecord, now: number): number {
  if (cutover.deadlineAt !== undefined) return Date.parse(cutover.deadlineAt);
  const opening = openingFrom(cutover.windows, now);
  return opening ? deadlineIn(opening, cutover) - Math.max(0, opening.opensAt - now) : now;
}

async function measuredRuns({ planId }: CutoverRecord, store: Store): Promise<MeasuredRun[]> {
  const { items } = await store.runs.page(planId, { limit: MOST_RUNS });
  const completed = items.flatMap((run) =>
    run.state === "completed" && run.result && run.endedAt ? [workOf(run, run.result, run.endedAt)] : [],
  );
  const oldestFirst = completed.reverse();
  // The usual one: in a single run the workflow can have waited for an agent that was away.
  const besides = median(oldestFirst.map((run) => run.besidesSeconds));
  return oldestFirst.slice(1).map(({ startedAt, changedBytes, captureSeconds, applySeconds }, index) => ({
    ...{ changedBytes, applySeconds, captureSeconds: captureSeconds + besides },
    sinceSeconds: secondsBetween(oldestFirst[index]?.startedAt ?? startedAt, startedAt),
  }));
}

/** `besidesSeconds`: what the workflow of a run did besides both copies, which is in an outage, too. */
function workOf({ startedAt }: RunRecord, result: NonNullable<RunRecord["result"]>, endedAt: string) {
  const { changedBytes, seconds: captureSeconds, standby } = result;
  const applySeconds = standby?.state === "applied" ? standby.seconds : undefined;
  const work = captureSeconds + (applySeconds ?? 0);
  const besidesSeconds = Math.max(0, secondsBetween(startedAt, endedAt) - work);
  return { startedAt, changedBytes, captureSeconds, applySeconds, besidesSeconds };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
