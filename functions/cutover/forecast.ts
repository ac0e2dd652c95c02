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
  const completed = items.filter(({ state, result }) => state === "completed" && result).reverse();
  return completed.slice(1).map((run, index) => measuredRun(run, completed[index]));
}

function measuredRun({ result, startedAt }: RunRecord, before: RunRecord | undefined): MeasuredRun {
  const since = before ? (Date.parse(startedAt) - Date.parse(before.startedAt)) / 1000 : 0;
  const { standby } = result ?? {};
  return {
    changedBytes: result?.changedBytes ?? 0,
    sinceSeconds: since,
    captureSeconds: result?.seconds ?? 0,
    applySeconds: standby?.state === "applied" ? standby.seconds : undefined,
  };
}
