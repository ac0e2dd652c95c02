import { expect, test } from "vitest";
import { usagePrices } from "./aws-prices.ts";
import { type Counts, formatCost, monthlyCost } from "./monthly-cost.ts";

const nothing = Object.fromEntries(Object.keys(usagePrices).map((name) => [name, 0])) as Counts;
const used = (perRun: Partial<Counts>, more: { metrics?: number; alarms?: number } = {}) => ({
  ...{ perRun: { ...nothing, ...perRun }, metrics: 0, alarms: 0, ...more },
});
const CONNECTION = 0.003504;

test("a month has 730 hours, and a server whose runs use nothing costs its connection", () => {
  const { runs, dollars } = monthlyCost(used({}), 60);
  expect(runs).toBe(730);
  expect(dollars).toBeCloseTo(CONNECTION, 6);
});

test("what a run uses is charged as often as there are runs", () => {
  const run = used({ stateTransitions: 8, s3Writes: 5 });
  const perRun = 8 * 0.000025 + 5 * 0.000005;
  for (const [minutes, runs] of [
    [60, 730],
    [15, 2920],
    [1, 43_800],
  ] as const)
    expect(monthlyCost(run, minutes).dollars).toBeCloseTo(runs * perRun + CONNECTION, 6);
});

test("metrics and alarms are charged by the month, whatever the interval is", () => {
  const server = used({}, { metrics: 1, alarms: 2 });
  for (const minutes of [60, 1])
    expect(monthlyCost(server, minutes).dollars).toBeCloseTo(0.5 + CONNECTION, 6);
});

test("the table has a row for each price and a total for each interval", () => {
  const lines = formatCost(
    [60, 1].map((minutes) => monthlyCost(used({ stateTransitions: 8 }), minutes)),
  ).split("\n");
  expect(lines[0]).toBe("| a month, one server, without storage | every 60 min | every 1 min |");
  expect(lines).toContain("| state transitions (8 a run) | $0.1460 | $8.7600 |");
  expect(lines.at(-1)).toBe("| total | $0.1495 | $8.7635 |");
  expect(lines).toHaveLength(2 + Object.keys(usagePrices).length + 3);
});

test("every price has its page and where it was read", () => {
  for (const { page, read, dollars, per } of Object.values(usagePrices)) {
    expect(page).toMatch(/^https:\/\/aws\.amazon\.com\/.*pricing/);
    expect(read).not.toBe("");
    expect(dollars / per).toBeGreaterThan(0);
  }
});
