/** How long the outage of a cutover will be, from what its plan and its target host measured before. */
import type { CutoverForecast, GuessedFrom, OutagePart } from "../../protocol/cutover-forecast.ts";
import { type CopyPart, type Quiesce, quiesces } from "../../protocol/quiesce.ts";
import { bytes, duration } from "../../units.ts";
import {
  type Estimate,
  estimateFrom,
  estimateWork,
  sumOf,
  variationWithin,
  type WorkSample,
} from "./estimate.ts";
import { GUESSED_SECONDS, OUTAGE_PART_TITLES } from "./outage-parts.ts";

/** One completed run of the plan. */
export interface MeasuredRun {
  changedBytes: number;
  /** From the instant of the point before to that of this run's point. */
  sinceSeconds: number;
  /** For reading and uploading. */
  captureSeconds: number;
  /** For making the standby equal to the point; absent if that did not happen. */
  applySeconds?: number | undefined;
  /** What was read, if that was everything in use on the disks, and not most of it was stored. */
  scannedBytes?: number | undefined;
}

/** The parts whose duration does not depend on what changed. */
export type FixedPart = Exclude<OutagePart, "capture" | "scan" | "apply" | "proof">;

export interface CutoverHistory {
  /** Oldest first. */
  runs: readonly MeasuredRun[];
  /** Seconds that the other parts took, oldest first. */
  durations: Durations;
  /**
   * What they took for the source's own machines that are not like the planned one, and in what these differ
   * from it.
   */
  otherMachine: { durations: Durations; differences: readonly string[] };
  /**
   * What they took for each other source on the same target host: better than a guess, for a first cutover,
   * and how much it varied for one source.
   */
  others: readonly Durations[];
}

export type Durations = Partial<Record<FixedPart, readonly number[]>>;

export interface ForecastQuestion {
  quiesce: Quiesce;
  /** What the disks have in use, as far as that is known, or else their sizes. */
  bytesToScan: number;
  /** For how many seconds files are read in the outage; absent if none are. */
  proveSeconds?: number | undefined;
  /** How long the target host took to compare files before; absent if it did not. */
  comparedSeconds?: number | undefined;
  /** Whether the system is adapted to its machine in the outage. */
  adapts: boolean;
  /** Whether the source is to shut down before the machine is connected. */
  switchesOff: boolean;
  /** Whether the machine must also answer in its isolated networks. */
  answersIsolated: boolean;
  /** Whether the machine must also answer on its network. */
  answers: boolean;
  /** Between the quiesce and the window's deadline. */
  secondsLeft: number;
}

/** Runs that followed the point before this closely, compared with the last copy, show what it will find. */
const NEAR = 4;
const ENOUGH_RUNS = 3;

/** A guest in emulation takes most of it to start. */
const UNKNOWN_COMPARISON_SECONDS = 90;

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
  const { quiesce: way, adapts, switchesOff, answersIsolated, answers, secondsLeft } = question;
  const fixed = (part: FixedPart) => fixedPart(part, history);
  const quiesce = fixed("quiesce");
  const copy = lastCopy(history.runs, quiesce.seconds);
  const copyPart = (part: CopyPart) => {
    if (part === "capture") return partOf(part, copy.capture, guessOf(part));
    return part === "scan" ? scanPart(history.runs, question) : fixed(part);
  };
  const parts = [
    quiesce,
    ...quiesces[way].copy.map(copyPart),
    partOf("apply", copy.apply, guessOf("apply")),
    fixed("clone"),
    ...proofParts(question),
    fixed("define"),
    ...(adapts ? [fixed("adapt")] : []),
    fixed("boot"),
    ...(answersIsolated ? [fixed("isolated-answer")] : []),
    ...(switchesOff ? [fixed("switch-off")] : []),
    fixed("connect"),
    ...(answers ? [fixed("answer")] : []),
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
  const { differences } = history.otherMachine;
  if (forecast.high > secondsLeft) {
    // Reading all disks takes the same time, however much has changed.
    const outrun = parts.some(({ part }) => part === "capture") ? copy.outrun : undefined;
    const about = { secondsLeft, outrun, differences };
    return { ...forecast, fits: false, advice: adviceFor(forecast, about) };
  }
  if (isRehearsed(forecast)) return { ...forecast, fits: true };
  const advice = `${unrehearsed(forecast, differences)} Until then only a person begins it.`;
  return { ...forecast, fits: true, advice };
}

/**
 * Whether every part that a recovery or a cold clone measures was measured, for this source on this target
 * host. The other parts need no rehearsal: the runs that come before the outage measure the copies, stopping
 * the services has its own limit, and connecting the network is after the commit.
 */
export function isRehearsed(forecast: Pick<CutoverForecast, "parts">): boolean {
  return partsToRehearse(forecast).length === 0;
}

type Part = CutoverForecast["parts"][number];

interface Guess {
  from: GuessedFrom;
  estimate: Estimate;
}

function fixedPart(part: FixedPart, history: CutoverHistory): Part {
  const variation = variationWithin(history.others.map((each) => each[part] ?? []));
  return partOf(part, estimateFrom(history.durations[part] ?? [], variation), fixedGuess(part, history));
}

function fixedGuess(part: FixedPart, { otherMachine, others: sources }: CutoverHistory): Guess {
  const own = otherMachineGuess(part, estimateFrom(otherMachine.durations[part] ?? []));
  if (own) return { from: "another-machine", estimate: own };
  const others = doubled(estimateFrom(sources.flatMap((each) => each[part] ?? [])));
  return others ? { from: "other-sources", estimate: others } : guessOf(part);
}

function guessOf(part: keyof typeof GUESSED_SECONDS): Guess {
  return { from: "nothing", estimate: GUESSED_SECONDS[part] };
}

/** Another machine can take much less or more: at least the range of a guess, and twice what it took. */
function otherMachineGuess(part: FixedPart, estimate: Estimate | undefined): Estimate | undefined {
  const wide = doubled(estimate);
  if (!wide) return undefined;
  const { low, high } = GUESSED_SECONDS[part];
  return { expected: wide.expected, low: Math.min(low, wide.low), high: Math.max(high, wide.high) };
}

/** Other sources are other machines: their range is doubled on each side. */
function doubled(estimate: Estimate | undefined): Estimate | undefined {
  return estimate && { ...estimate, low: estimate.low / 2, high: 2 * estimate.high };
}

function partOf(part: OutagePart, measured: Estimate | undefined, guess: Guess): Part {
  const { expected, low, high } = measured ?? guess.estimate;
  return {
    ...{ part, seconds: rounded(expected), low: rounded(low), high: rounded(high) },
    ...(measured ? { measured: true } : { measured: false, guessedFrom: guess.from }),
  };
}

/** How long reading all disks takes depends on what they have in use, not on what changes. */
function scanPart(runs: readonly MeasuredRun[], { bytesToScan }: ForecastQuestion): Part {
  const scans = runs.flatMap(({ scannedBytes: amount, captureSeconds: seconds }) =>
    amount === undefined ? [] : [{ amount, seconds }],
  );
  const amount = { expected: bytesToScan, low: bytesToScan, high: bytesToScan };
  // From one disk that turns to a fast array.
  const at = (mebibytesPerSecond: number) => bytesToScan / (mebibytesPerSecond * 2 ** 20);
  const estimate = { expected: at(150), low: at(1500), high: at(40) };
  return partOf("scan", estimateWork(scans, amount), { from: "nothing", estimate });
}

/** The source is read as long as was asked for, at most. The target host starts a guest and reads as much. */
function proofParts({ proveSeconds, comparedSeconds }: ForecastQuestion): Part[] {
  if (proveSeconds === undefined) return [];
  const around = (seconds: number) => ({
    ...{ expected: proveSeconds + seconds, low: seconds / 2, high: proveSeconds + 3 * seconds },
  });
  const measured = comparedSeconds === undefined ? undefined : around(comparedSeconds);
  return [partOf("proof", measured, { from: "nothing", estimate: around(UNKNOWN_COMPARISON_SECONDS) })];
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

interface About {
  secondsLeft: number;
  outrun: LastCopy["outrun"];
  /** In what the machines differ that a guess is from. */
  differences: readonly string[];
}

/** What would make the outage fit. */
function adviceFor({ high, parts }: Pick<CutoverForecast, "high" | "parts">, about: About): string {
  const left = duration(Math.max(0, Math.floor(about.secondsLeft)));
  return `The outage can take ${duration(Math.ceil(high))}, and ${left} of the window is left. ${remedy(parts, about)}`;
}

function remedy(parts: readonly Part[], { outrun, differences }: About): string {
  if (outrun !== undefined)
    return `The source changes ${bytes(outrun.changed)} a second, and its runs carry ${bytes(outrun.carried)}: raise the plan's upload limit, or choose hours in which the source writes less.`;
  const unknown = parts.filter(({ part, measured }) => !measured && part in REHEARSALS);
  const widest = unknown.toSorted((a, b) => b.high - a.high)[0];
  if (widest !== undefined)
    return `How long ${OUTAGE_PART_TITLES[widest.part]} takes was ${measuredHow(widest, differences)}: ${REHEARSALS[widest.part]}, or choose a longer window.`;
  const longest = parts.reduce((most, part) => (part.high > most.high ? part : most));
  return `Of this, ${OUTAGE_PART_TITLES[longest.part]} can take ${duration(Math.ceil(longest.high))}: choose a longer window, or make that faster.`;
}

function unrehearsed(forecast: Pick<CutoverForecast, "parts">, differences: readonly string[]): string {
  const parts = partsToRehearse(forecast);
  const sentences = [...Map.groupBy(parts, (part) => measuredHow(part, differences))].map(([how, some]) => {
    const titles = some.map(({ part }) => OUTAGE_PART_TITLES[part]).join(", ");
    return `How long this takes was ${how} for this source on this target host: ${titles}.`;
  });
  const advices = new Set(parts.map(({ part }) => REHEARSALS[part] ?? RECOVER));
  // A recovery with the option measures the others, too.
  if (advices.has(ADAPT)) advices.delete(RECOVER);
  const isLike = parts.some(isOfAnotherMachine) ? ", to a machine like the planned one" : "";
  return `${sentences.join(" ")} To measure it, ${[...advices].join(", and ")}${isLike}.`;
}

function isOfAnotherMachine({ guessedFrom }: Part): boolean {
  return guessedFrom === "another-machine";
}

function measuredHow(part: Part, differences: readonly string[]): string {
  if (!isOfAnotherMachine(part)) return "never measured";
  return `measured only with a machine that differs (${differences.join(", ")})`;
}

function partsToRehearse({ parts }: Pick<CutoverForecast, "parts">): Part[] {
  return parts.filter(({ part, measured }) => !measured && REHEARSED.has(part));
}

/** The parts that a recovery or a cold clone measures. */
const REHEARSED: ReadonlySet<OutagePart> = new Set(["boot-environment", "clone", "define", "adapt", "boot"]);
const RECOVER = "recover the source to a test network once";
const ADAPT = `${RECOVER}, with \`--adapt\``;

/** What measures a part before a cutover does. */
const REHEARSALS: Partial<Record<OutagePart, string>> = {
  "boot-environment": "convert it cold once, unattended",
  capture: "let the plan run",
  apply: "let the plan run with a standby",
  clone: RECOVER,
  adapt: ADAPT,
  define: RECOVER,
  boot: RECOVER,
};

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
