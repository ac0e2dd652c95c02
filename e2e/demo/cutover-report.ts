import { OUTAGE_PART_TITLES } from "#shared/domain/cutover/outage-parts.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import type { CutoverForecast, OutagePart } from "#shared/protocol/cutover-forecast.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import { duration } from "#shared/units.ts";
import { type DemoOutcome, describeDemo, type Proofs, proves } from "./report-lines.ts";
import { SERVED_ROWS_PROOFS, type ServedRows } from "./served-rows.ts";

/** How long a cutover was in a state. */
export interface CutoverStateTime {
  name: string;
  seconds: number;
}

/** The results of `npm run demo -- --cutover`, which `--json FILE` writes. */
export interface CutoverReport extends DemoOutcome, ServedRows {
  /** Recovery points that were taken before the cutover was prepared. */
  points: number;
  /** Whether files that a guest read on a clone before the window are as the source's kernel reads them. */
  proved: boolean;
  /** Whether the machine answered over the network before the commit, while it was isolated. */
  askedIsolated: boolean;
  /** As of the moment in which the cutover began. */
  forecast?: Pick<CutoverForecast, "outageSeconds" | "low" | "high" | "basis" | "parts">;
  states: CutoverStateTime[];
  /** How long each part of the outage took, as the agents say. */
  parts: NonNullable<Cutover["outageParts"]>;
  /** Final sync, applying the adaptation, and defining the machine. */
  moveSeconds: number;
  /** That, to what the machine then took to start; 0 if it did not. */
  moveToBoot: number;
  /** Whether the source's database and its address for clients stayed down after a power cut. */
  sourceFenced: boolean;
}

/** What the demo must prove, in the order of the report. */
const PROOFS: Proofs<CutoverReport> = [
  ["the machine serves the client in the source's place", ({ outageSeconds }) => outageSeconds > 0],
  ...SERVED_ROWS_PROOFS,
  ["the outage was as long as the forecast said", isAsForecast],
  ["files of a clone are as the source's kernel reads them", ({ proved }) => proved],
  ["the machine answered over the network while it was isolated", ({ askedIsolated }) => askedIsolated],
  ["the source is fenced, also after a power cut", ({ sourceFenced }) => sourceFenced],
];

function isAsForecast({ forecast, outageSeconds }: CutoverReport): boolean {
  return forecast !== undefined && outageSeconds >= forecast.low && outageSeconds <= forecast.high;
}

export function isCutOver(report: CutoverReport): boolean {
  return proves(report, PROOFS);
}

/** How long it was in each state, in order. */
export function stateTimes({ states }: Pick<Cutover, "states">): CutoverStateTime[] {
  return states.map(({ name, at }, index) => {
    const next = states[index + 1]?.at ?? at;
    return { name, seconds: secondsBetween(at, next) };
  });
}

/**
 * What the cutover itself takes between the source's last write and the machine's start; not the clone. The
 * final sync is counted as its state, with what the workflow does besides reading.
 */
export function moveTimes(
  parts: CutoverReport["parts"],
  states: CutoverReport["states"],
): Pick<CutoverReport, "parts" | "moveSeconds" | "moveToBoot"> {
  const sum = (isWanted: (part: OutagePart) => boolean) =>
    parts.reduce((total, { part, seconds }) => total + (isWanted(part) ? seconds : 0), 0);
  const syncSeconds = states.find(({ name }) => name === "final-sync")?.seconds ?? 0;
  const moveSeconds = syncSeconds + sum((part) => part === "adapt" || part === "define");
  const bootSeconds = sum((part) => part === "boot");
  return { parts, moveSeconds, moveToBoot: bootSeconds > 0 ? moveSeconds / bootSeconds : 0 };
}

export function describeStates({ states }: { states: readonly CutoverStateTime[] }): string {
  return `  states: ${states.map(({ name, seconds }) => `${name} ${duration(seconds)}`).join(", ")}`;
}

/** The report in the operator's words. */
export function describeCutOver(report: CutoverReport): string {
  const { forecast, outageSeconds, rowsAcknowledged, rowsFound, parts, moveSeconds, moveToBoot } = report;
  const took = parts.map(({ part, seconds }) => `${OUTAGE_PART_TITLES[part]} ${duration(seconds)}`);
  const range = forecast && `${duration(forecast.low)} to ${duration(forecast.high)}, ${forecast.basis}`;
  return [
    ...describeDemo(report, {
      name: "Causeway demo of a cutover",
      success: "the machine runs in the source's place",
      proofs: PROOFS,
    }),
    `  outage ${duration(outageSeconds)}; forecast: ${range ?? "none"}`,
    describeStates(report),
    `  parts: ${took.join(", ")}`,
    `  final sync, adaptation and definition: ${duration(moveSeconds)}, ${moveToBoot.toFixed(2)} of the machine's start`,
    `  rows: ${rowsAcknowledged} acknowledged, ${rowsFound} in the machine`,
  ].join("\n");
}
