import type { CommandRecord } from "#shared/domain/command.ts";
import { type CutoverRecord, isBefore } from "#shared/domain/cutover/cutover.ts";
import {
  type CutoverHistory,
  type FixedPart,
  forecastCutover,
  type MeasuredRun,
} from "#shared/domain/cutover/forecast.ts";
import { rehearsalOf } from "#shared/domain/cutover/rehearsal.ts";
import { type DatedForecast, deadlineIn } from "#shared/domain/cutover/start.ts";
import { openingFrom } from "#shared/domain/cutover/window.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { ShownAdaptation } from "#shared/protocol/wanted-machine.ts";
import type { StoreDeps } from "../store/deps.ts";
import type { Store } from "../store/store.ts";

/** Older ones say little about the source and the target host as they are. */
const MOST_RUNS = 24;
const MOST_MACHINES = 5;
const LOOKED_AT = 100;

/** The command whose time each part of an outage is, from its order to its result. */
const PARTS: readonly { part: FixedPart; command: string }[] = [
  { part: "quiesce", command: "set-fence up" },
  { part: "clone", command: "clone-standby" },
  { part: "adapt", command: "adapt-machine" },
  { part: "define", command: "define-machine" },
  { part: "boot", command: "bring-up-machine" },
  { part: "connect", command: "connect-machine" },
];

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
  const history = { runs: await measuredRuns(cutover, store), ...(await durations(cutover, store)) };
  const secondsLeft = Math.max(0, (deadlineOf(cutover, now) - now) / 1000);
  const at = new Date(now).toISOString();
  const question = { cold: false, adapts: cutover.adaptation !== undefined, secondsLeft };
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

/** Of the last machines that this target host made of the source, and of other sources. */
async function durations(
  { id, sourceId, targetId }: CutoverRecord,
  { cutovers, recoveries }: Store,
): Promise<Pick<CutoverHistory, "durations" | "elsewhere">> {
  const pages = await Promise.all(
    [cutovers, recoveries].map(async (has) => {
      const { items } = await has.page({ limit: LOOKED_AT });
      return items.map((one) => ({ ...one, has }));
    }),
  );
  const newestFirst = pages
    .flat()
    .filter((one) => one.id !== id && one.targetId === targetId)
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  const measured = async (isOwn: boolean) => {
    const last = newestFirst.filter((one) => (one.sourceId === sourceId) === isOwn).slice(0, MOST_MACHINES);
    const oldestFirst = last.reverse().map(async (one) => (await one.has.withCommands(one.id)).commands);
    const each = await Promise.all(oldestFirst);
    return Object.fromEntries(
      PARTS.map(({ part, command }) => [part, each.flatMap((commands) => secondsOf(commands, command))]),
    );
  };
  return { durations: await measured(true), elsewhere: await measured(false) };
}

function secondsOf(commands: readonly CommandRecord[], wanted: string): number[] {
  const found = commands.find(
    ({ kind, label, state }) => state === "succeeded" && [kind, label].filter(Boolean).join(" ") === wanted,
  );
  // A recovery's source is gone: its fence waits until it comes back.
  if (found?.kind === "set-fence" && ownerKind(found.ownerId) === "recovery") return [];
  if (found?.endedAt === undefined) return [];
  const seconds = (Date.parse(found.endedAt) - Date.parse(found.issuedAt)) / 1000;
  return [Math.max(0, seconds - secondsBefore(found))];
}

/** What a cutover does before its outage: it has computed the changes of its system by then. */
function secondsBefore({ kind, output }: CommandRecord): number {
  return kind === "adapt-machine" ? ShownAdaptation.parse(output).computeSeconds : 0;
}
