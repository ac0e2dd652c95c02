/** How long the outage of a cutover will be, from what its plan and its target host measured before. */
import type { CutoverForecast, OutagePart } from "../../protocol/cutover-forecast.ts";
import { bytes, duration } from "../../units.ts";
import { type Estimate, estimateFrom, estimateWork, sumOf, type WorkSample } from "./estimate.ts";

/** One completed run of the plan. */
export interface MeasuredRun {
  changedBytes: number;
  /** From the instant of the point before to that of this run's point. */
  sinceSeconds: number;
  /** For reading and uploading. */
  captureSeconds: number;
  /** For making the standby equal to the point; absent if that did not happen. */
  applySeconds?: number | undefined;
}

/** The parts whose duration does not depend on what changed. */
export type FixedPart = Exclude<OutagePart, "capture" | "apply">;

export interface CutoverHistory {
  /** Oldest first. */
  runs: readonly MeasuredRun[];
  /** Seconds that the other parts took, oldest first. */
  durations: Durations;
  /** What they took for other sources on the same target host: better than a guess, for a first cutover. */
  elsewhere: Durations;
}

type Durations = Partial<Record<FixedPart, readonly number[]>>;

export interface ForecastQuestion {
  /** Whether the last copy is made in the boot environment. */
  cold: boolean;
  /** Whether the system is adapted to its machine in the outage. */
  adapts: boolean;
  /** Between the quiesce and the window's deadline. */
  secondsLeft: number;
}

/** What is expected of a part that was never measured, in seconds. */
const GUESSES: Record<OutagePart, Estimate> = {
  quiesce: { expected: 10, low: 1, high: 60 },
  "boot-environment": { expected: 90, low: 30, high: 300 },
  capture: { expected: 30, low: 3, high: 300 },
  apply: { expected: 15, low: 1, high: 120 },
  clone: { expected: 10, low: 0, high: 120 },
  adapt: { expected: 20, low: 2, high: 120 },
  define: { expected: 3, low: 0, high: 20 },
  boot: { expected: 60, low: 10, high: 300 },
  connect: { expected: 2, low: 0, high: 15 },
};

/** Runs that followed the point before this closely, compared with the last copy, show what it will find. */
const NEAR = 4;
const ENOUGH_RUNS = 3;

/** After this number, the gap has settled, or is close to it. */
const COPIES = 20;

const NOTHING: Estimate = { expected: 0, low: 0, high: 0 };

/** More time, fewer new blocks in each second: the same blocks are written again. */
const CHANGE_EXPONENT = 0.8;

/**
 * The last copy of a cutover holds what changed since the copy before it, whose duration depends on what
 * changed before that. The forecast assumes that such copies follow each other until they get no shorter.
 */
export function forecastCutover(history: CutoverHistory, question: ForecastQuestion): CutoverForecast {
  const { cold, adapts, secondsLeft } = question;
  const fixed = (part: FixedPart) =>
    partOf(part, estimateFrom(history.durations[part] ?? []), guessFrom(history.elsewhere[part] ?? []));
  const quiesce = fixed("quiesce");
  const copy = lastCopy(history.runs, quiesce.seconds);
  const parts = [
    quiesce,
    ...(cold ? [fixed("boot-environment")] : []),
    partOf("capture", copy.capture),
    partOf("apply", copy.apply),
    fixed("clone"),
    fixed("define"),
    ...(adapts ? [fixed("adapt")] : []),
    ...(["boot", "connect"] as const).map(fixed),
  ];
  const outage = sumOf(parts.map(({ seconds, low, high }) => ({ expected: seconds, low, high })));
  const measured = parts.filter((part) => part.measured).length;
  const forecast = {
    outageSeconds: rounded(outage.expected),
    low: rounded(outage.low),
    high: rounded(outage.high),
    basis: measured === parts.length ? "measured" : measured > 0 ? "partly measured" : "guessed",
    parts,
  } as const;
  if (forecast.high > secondsLeft)
    return { ...forecast, fits: false, advice: adviceFor(forecast, secondsLeft, copy.outrun) };
  if (isRehearsed(forecast)) return { ...forecast, fits: true };
  return { ...forecast, fits: true, advice: `${unrehearsed(forecast)} Until then only a person begins it.` };
}

/**
 * Whether every part that a recovery measures was measured, for this source on this target host. The other
 * parts need no rehearsal: the runs that come before the outage measure the copies, stopping the services has
 * its own limit, and connecting the network is after the commit.
 */
export function isRehearsed(forecast: Pick<CutoverForecast, "parts">): boolean {
  return partsToRehearse(forecast).length === 0;
}

type Part = CutoverForecast["parts"][number];

/** Other sources are other machines: their range is doubled on each side. */
function guessFrom(elsewhere: readonly number[]): Estimate | undefined {
  const estimate = estimateFrom(elsewhere);
  return estimate && { ...estimate, low: estimate.low / 2, high: 2 * estimate.high };
}

function partOf(part: OutagePart, measured: Estimate | undefined, guess = GUESSES[part]): Part {
  const { expected, low, high } = measured ?? guess;
  return {
    ...{ part, seconds: rounded(expected), low: rounded(low), high: rounded(high) },
    measured: measured !== undefined,
  };
}

interface LastCopy {
  capture?: Estimate | undefined;
  apply?: Estimate | undefined;
  /** Set if the source changes as fast as its runs carry, in bytes per second. */
  outrun?: { changed: number; carried: number } | undefined;
}

function lastCopy(runs: readonly MeasuredRun[], quiesceSeconds: number): LastCopy {
  if (runs.length === 0) return {};
  const captures = runs.map(({ changedBytes: amount, captureSeconds: seconds }) => ({ amount, seconds }));
  const applies = runs.flatMap(({ changedBytes: amount, applySeconds: seconds }) =>
    seconds === undefined ? [] : [{ amount, seconds }],
  );
  const longest = Math.max(...runs.map(sinceOf));
  let gap = longest;
  // What changes while a copy is made is in the next one: that settles, or reaches the interval of the runs.
  for (let copy = 0; copy < COPIES; copy++)
    gap = Math.min(longest, Math.max(1, quiesceSeconds + secondsFor(captures, changeWithin(runs, gap))));
  const change = changeWithin(runs, gap);
  const more = { ...change, expected: 2 * change.expected };
  const marginal = secondsFor(captures, more) - secondsFor(captures, change);
  return {
    capture: estimateWork(captures, change),
    apply: estimateWork(applies, change),
    outrun:
      marginal < gap ? undefined : { changed: change.expected / gap, carried: change.expected / marginal },
  };
}

function secondsFor(samples: readonly WorkSample[], amount: Estimate): number {
  return estimateWork(samples, amount)?.expected ?? 0;
}

/** Bytes that change within this time: at least in proportion to it, at most as in a run's longer time. */
function changeWithin(runs: readonly MeasuredRun[], seconds: number): Estimate {
  const near = runs.filter((run) => sinceOf(run) <= NEAR * seconds);
  const used = near.length >= ENOUGH_RUNS ? near : runs;
  const scaled = (exponent: number): Estimate =>
    estimateFrom(
      used.map((run) => {
        const ratio = seconds / sinceOf(run);
        return run.changedBytes * (ratio < 1 ? ratio ** exponent : ratio);
      }),
    ) ?? NOTHING;
  const change = scaled(CHANGE_EXPONENT);
  return {
    expected: change.expected,
    low: Math.min(change.low, scaled(1).expected),
    high: Math.max(change.high, scaled(0).expected),
  };
}

function sinceOf({ sinceSeconds }: MeasuredRun): number {
  return Math.max(1, sinceSeconds);
}

/** What would make the outage fit. */
function adviceFor(
  { high, parts }: Pick<CutoverForecast, "high" | "parts">,
  secondsLeft: number,
  outrun: LastCopy["outrun"],
): string {
  const left = duration(Math.max(0, Math.floor(secondsLeft)));
  return `The outage can take ${duration(Math.ceil(high))}, and ${left} of the window is left. ${remedy(parts, outrun)}`;
}

function remedy(parts: CutoverForecast["parts"], outrun: LastCopy["outrun"]): string {
  if (outrun !== undefined)
    return `The source changes ${bytes(outrun.changed)} a second, and its runs carry ${bytes(outrun.carried)}: raise the plan's upload limit, or choose hours in which the source writes less.`;
  const unknown = parts.filter(({ part, measured }) => !measured && part in REHEARSALS);
  const widest = unknown.toSorted((a, b) => b.high - a.high)[0];
  if (widest !== undefined)
    return `How long ${TITLES[widest.part]} takes was never measured: ${REHEARSALS[widest.part]}, or choose a longer window.`;
  const longest = parts.reduce((most, part) => (part.high > most.high ? part : most));
  return `Of this, ${TITLES[longest.part]} can take ${duration(Math.ceil(longest.high))}: choose a longer window, or make that faster.`;
}

function unrehearsed(forecast: Pick<CutoverForecast, "parts">): string {
  const parts = partsToRehearse(forecast);
  const titles = parts.map(({ part }) => TITLES[part]).join(", ");
  const adapts = parts.some(({ part }) => part === "adapt") ? REHEARSALS.adapt : RECOVER;
  return `How long this takes was never measured for this source on this target host: ${titles}. To measure it, ${adapts}.`;
}

function partsToRehearse({ parts }: Pick<CutoverForecast, "parts">): Part[] {
  return parts.filter(({ part, measured }) => !measured && RECOVERED.has(part));
}

const TITLES: Record<OutagePart, string> = {
  quiesce: "stopping the source's services",
  "boot-environment": "starting the boot environment",
  capture: "the last copy",
  apply: "applying the last copy to the standby",
  clone: "cloning the standby",
  adapt: "adapting the system",
  define: "defining the machine",
  boot: "starting the machine",
  connect: "connecting the production network",
};

/** The parts that a recovery measures. */
const RECOVERED: ReadonlySet<OutagePart> = new Set(["clone", "define", "adapt", "boot"]);
const RECOVER = "recover the source to a test network once";

/** What measures a part before a cutover does. */
const REHEARSALS: Partial<Record<OutagePart, string>> = {
  capture: "let the plan run",
  apply: "let the plan run with a standby",
  clone: RECOVER,
  adapt: `${RECOVER}, with \`--adapt\``,
  define: RECOVER,
  boot: RECOVER,
};

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
