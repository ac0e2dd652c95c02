import { type AdaptationRun, formatAdaptation } from "./adaptation.ts";
import type { AgentMemory } from "./agent-memory.ts";
import type { DeltaRuns } from "./delta.ts";
import type { ImageFacts } from "./image.ts";
import type { LargeDisk } from "./large-disks.ts";
import { formatCost, type MonthlyCost } from "./monthly-cost.ts";
import type { Capture, Restore } from "./peers.ts";
import type { StandbyDelta } from "./standby-delta.ts";

/** One contender's runs. */
export interface Measured {
  name: string;
  captures: Capture[];
  restores: Restore[];
}

export interface Row {
  name: string;
  wallSeconds: number;
  /** Fastest and slowest run. */
  wallRange: [number, number];
  cpuSeconds: number;
  serverCpuSeconds?: number;
  rssMiB: number;
  storedMiB?: number;
  limitingStage?: string;
  /** Ours divided by this one's median wall time; absent for ours. */
  oursRatio?: number;
}

/** Captures of a changed disk: each of our two ways beside the peers. */
export interface DeltaReport {
  pageBytes: number;
  blockBytes: number;
  tracked: Row[];
  scan: Row[];
}

export interface BenchReport {
  image: ImageFacts;
  runs: number;
  capture: Row[];
  restore: Row[];
  delta?: DeltaReport;
  agents: AgentMemory[];
  largeDisks: LargeDisk[];
  standby?: StandbyDelta;
  adaptation?: AdaptationRun[];
  /** By interval. */
  cost?: MonthlyCost[];
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] =
    sorted.length % 2 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return (low + high) / 2;
}

/** Medians of every contender's runs, compared with ours, which is the first. */
export function toRows(measured: readonly { name: string; runs: readonly (Capture | Restore)[] }[]): Row[] {
  const rows = measured.map(({ name, runs }): Row => {
    const walls = runs.map(({ wallSeconds }) => wallSeconds);
    const [first] = runs;
    return {
      name,
      wallSeconds: median(walls),
      wallRange: [Math.min(...walls), Math.max(...walls)],
      cpuSeconds: median(runs.map(({ cpuSeconds }) => cpuSeconds)),
      rssMiB: Math.max(...runs.map(({ rssMiB }) => rssMiB)),
      ...(first?.serverCpuSeconds === undefined
        ? {}
        : { serverCpuSeconds: median(runs.map((run) => run.serverCpuSeconds ?? 0)) }),
      ...(first && "storedMiB" in first ? { storedMiB: first.storedMiB } : {}),
      ...(first && "limitingStage" in first && first.limitingStage
        ? { limitingStage: first.limitingStage }
        : {}),
    };
  });
  const ours = rows[0]?.wallSeconds ?? 0;
  return rows.map((row, at) => (at === 0 ? row : { ...row, oursRatio: ours / row.wallSeconds }));
}

export function toDelta({ pageBytes, blockBytes, measured }: DeltaRuns): DeltaReport {
  const [tracked, scan, ...peers] = measured;
  const beside = (ours: typeof tracked) => toRows(ours ? [ours, ...peers] : peers);
  return { pageBytes, blockBytes, tracked: beside(tracked), scan: beside(scan) };
}

export function formatReport(report: BenchReport): string {
  const { image, runs, capture, restore, delta, agents, largeDisks, standby, adaptation, cost } = report;
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  const head = `${image.path}: ${mib(image.sizeBytes)} MiB, ${image.usedBytes} bytes (${mib(image.usedBytes)} MiB) in use; medians of ${runs} runs`;
  const memory = agents.map(
    ({ role, enrolledMiB, peakMiB }) =>
      `${role} agent: ${enrolledMiB.toFixed(0)} MiB up to its first connection, ${peakMiB.toFixed(0)} MiB up to the end of a hot conversion`,
  );
  memory.push(
    ...largeDisks.map(
      ({ name, peakMiB, wallSeconds }) =>
        `capture of ${name}: ${peakMiB.toFixed(0)} MiB in ${wallSeconds.toFixed(0)} s`,
    ),
  );
  const titled = (title: string, rows: readonly Row[]) =>
    rows.length > 0 ? ["", title, ...table(rows)] : [];
  const tables = [...titled("capture", capture), ...titled("restore", restore)];
  const applied = standby ? ["", describeDelta(standby)] : [];
  return [
    head,
    ...tables,
    ...(delta ? ["", describeShipped(delta), ...table(delta.tracked), "", ...table(delta.scan)] : []),
    ...applied,
    ...(adaptation ? ["", formatAdaptation(adaptation)] : []),
    ...(cost ? ["", formatCost(cost)] : []),
    ...(memory.length > 0 ? ["", "highest resident set", ...memory] : []),
  ].join("\n");
}

function describeShipped({ pageBytes, blockBytes }: DeltaReport): string {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const times = (blockBytes / pageBytes).toFixed(2);
  return `delta: ${mib(pageBytes)} MiB of pages changed, in ${mib(blockBytes)} MiB of blocks: ${times} times`;
}

function describeDelta({ bytes, applySeconds, ddSeconds }: StandbyDelta): string {
  const [ours, theirs] = [median(applySeconds), median(ddSeconds)];
  return (
    `standby: a delta of ${Math.round(bytes / 2 ** 20)} MiB applied in ${ours.toFixed(2)} s, ` +
    `written by dd and synced in ${theirs.toFixed(2)} s: ${(ours / theirs).toFixed(2)} times`
  );
}

const COLUMNS = ["", "wall s", "range", "CPU s", "S3 CPU s", "RSS MiB", "stored MiB", "limit", "ours/theirs"];

function table(rows: readonly Row[]): string[] {
  const cells = rows.map((row) => [
    row.name,
    row.wallSeconds.toFixed(2),
    row.wallRange.map((seconds) => seconds.toFixed(1)).join("-"),
    row.cpuSeconds.toFixed(1),
    row.serverCpuSeconds?.toFixed(1) ?? "",
    row.rssMiB.toFixed(0),
    row.storedMiB?.toFixed(0) ?? "",
    row.limitingStage ?? "",
    row.oursRatio?.toFixed(2) ?? "",
  ]);
  const widths = COLUMNS.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [COLUMNS, ...cells].map(line);
}
