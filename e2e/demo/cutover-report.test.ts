import { expect, test } from "vitest";
import { type CutoverReport, describeCutOver, isCutOver, moveTimes, stateTimes } from "./cutover-report.ts";

const cutOver: CutoverReport = {
  ...{ ok: true, seconds: 1800, steps: [{ name: "causeway cutover go cut_1", seconds: 301 }] },
  ...{ points: 3, outageSeconds: 200, proved: true, askedIsolated: true, sourceFenced: true },
  ...{ rowsAcknowledged: 70, rowsFound: 71, rowsMissing: 0 },
  forecast: { outageSeconds: 190, low: 150, high: 250, basis: "measured", parts: [] },
  ...moveTimes(
    [
      { part: "quiesce", seconds: 3 },
      { part: "capture", seconds: 7 },
      { part: "apply", seconds: 2 },
      { part: "clone", seconds: 50 },
      { part: "define", seconds: 1 },
      { part: "adapt", seconds: 5 },
      { part: "boot", seconds: 30 },
    ],
    [{ name: "final-sync", seconds: 14 }],
  ),
  states: [
    { name: "pre-sync", seconds: 30 },
    { name: "final-sync", seconds: 14 },
  ],
};

test("the report compares the outage that the client saw with the forecast, and has the time of each state", () => {
  const text = describeCutOver(cutOver);
  expect(text).toContain("outage 3 min 20 s; forecast: 2 min 30 s to 4 min 10 s, measured");
  expect(text).toContain("states: pre-sync 30 s, final-sync 14 s");
  expect(text).toContain("final sync, adaptation and definition: 20 s, 0.67 of the machine's start");
  expect(text).toContain("70 acknowledged, 71 in the machine");
  expect(text).not.toContain("NO");
});

test("a state lasts until the next one, and the last one no time", () => {
  const at = (seconds: number) => new Date(seconds * 1000).toISOString();
  const states = [
    { name: "waiting" as const, at: at(1) },
    { name: "pre-sync" as const, at: at(3.5) },
  ];
  expect(stateTimes({ states })).toEqual([
    { name: "waiting", seconds: 2.5 },
    { name: "pre-sync", seconds: 0 },
  ]);
});

test.each<[string, Partial<CutoverReport>]>([
  ["a machine that never answered", { outageSeconds: 0 }],
  ["a row that is missing", { rowsMissing: 1 }],
  ["a database without rows", { rowsAcknowledged: 0, rowsFound: 0 }],
  ["an outage longer than the forecast", { outageSeconds: 251 }],
  ["an outage shorter than the forecast", { outageSeconds: 149 }],
  ["a clone whose files are not known to be equal", { proved: false }],
  ["a machine that was asked only after the commit", { askedIsolated: false }],
  ["a source that serves again after a power cut", { sourceFenced: false }],
  ["a failure", { failure: "the computer is too slow" }],
])("%s is no cutover", (_, change) => {
  expect(isCutOver(cutOver)).toBe(true);
  expect(isCutOver({ ...cutOver, ...change })).toBe(false);
  expect(describeCutOver({ ...cutOver, ok: false, ...change })).toContain("FAILED");
});
