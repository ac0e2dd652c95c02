/**
 * Twenty cutovers in real time on loop devices, with the agents as they are, under real systemd: what was
 * forecast before each, and the outage that a client measured.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { currentCommit, projectRoot } from "../../scripts/machine-tests/record.ts";
import type { Load, LoadedSource } from "../testing/loaded-source.ts";
import { type MeasuredCutover, MeasuredCutovers } from "../testing/measured-cutovers.ts";

const MIB = 2 ** 20;
const RESULTS = join(projectRoot, ".cache/cutover-forecasts.jsonl");
const WIDEST = 0.6;
const INSIDE = 18;

const LOADS = [
  { name: "a small disk that changes little", load: load(64, 0.25, 16, 0) },
  { name: "a disk that changes steadily", load: load(128, 1, 64, 0) },
  { name: "a larger disk, and a service that stops slowly", load: load(256, 2, 96, 2) },
  { name: "a disk that changes fast", load: load(128, 4, 80, 1) },
];
const TIMES = [1, 2, 3, 4, 5];

function load(diskMiB: number, mibPerSecond: number, areaMiB: number, stopSeconds: number): Load {
  return { diskMiB, bytesPerSecond: mibPerSecond * MIB, areaMiB, stopSeconds };
}

const Result = z.object({
  commit: z.string(),
  time: z.int(),
  name: z.string(),
  low: z.number(),
  estimate: z.number(),
  high: z.number(),
  basis: z.string(),
  outageSeconds: z.number(),
  texts: z.object({ forecast: z.string(), show: z.string() }),
  /** To see which part was wrong. */
  detail: z.unknown(),
});
type Result = z.infer<typeof Result>;

/** Of this commit, the last of each: the campaign can be carried out in parts, with `-t`. */
function results(): Result[] {
  if (!existsSync(RESULTS)) return [];
  const lines = readFileSync(RESULTS, "utf8").trim().split("\n");
  const own = lines.map((line) => Result.parse(JSON.parse(line))).filter(isOfThisCommit);
  return [...new Map(own.map((one) => [`${one.name} ${one.time}`, one])).values()];
}

function isOfThisCommit({ commit }: Result): boolean {
  return commit === currentCommit();
}

function record(name: string, time: number, { forecast, cutover, outageSeconds, texts }: MeasuredCutover) {
  const { low, outageSeconds: estimate, high, basis, parts } = forecast;
  const { states } = cutover;
  const detail = { parts, states, outageSeconds: cutover.outageSeconds };
  const result: Result = {
    ...{ commit: currentCommit(), name, time, low, estimate, high, basis, outageSeconds, texts, detail },
  };
  mkdirSync(dirname(RESULTS), { recursive: true });
  appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
}

let cutovers: MeasuredCutovers | undefined;
afterAll(() => cutovers?.[Symbol.asyncDispose]());

describe.each(LOADS)("$name", ({ name, load: own }) => {
  let source: LoadedSource | undefined;
  beforeAll(async () => {
    cutovers ??= await MeasuredCutovers.start();
    source = await cutovers.protect(own);
  });
  afterAll(() => source?.[Symbol.asyncDispose]());

  test.each(TIMES)(
    "cutover %i: no write is lost, and the range is at most 60 % of the estimate",
    async (time) => {
      if (!cutovers || !source) throw new Error("there is no source");
      const measured = await cutovers.cutOver(source);
      record(name, time, measured);
      const { forecast, isNothingLost } = measured;
      expect(isNothingLost).toBe(true);
      expect(forecast.parts.filter((part) => !part.measured)).toEqual([]);
      expect((forecast.high - forecast.low) / forecast.outageSeconds).toBeLessThanOrEqual(WIDEST);
    },
  );
});

test(`of ${LOADS.length * TIMES.length} outages, at least ${INSIDE} were inside the forecast range`, () => {
  const all = results();
  const isInside = ({ low, high, outageSeconds }: Result) => outageSeconds >= low && outageSeconds <= high;
  const shown = all.map((one) => {
    const numbers = [one.low, one.estimate, one.high, one.outageSeconds].map((value) => value.toFixed(1));
    return `| ${[one.name, one.time, ...numbers, isInside(one) ? "yes" : "no"].join(" | ")} |`;
  });
  console.log(shown.join("\n"));
  expect(all).toHaveLength(LOADS.length * TIMES.length);
  expect(all.filter(isInside).length).toBeGreaterThanOrEqual(INSIDE);
});
