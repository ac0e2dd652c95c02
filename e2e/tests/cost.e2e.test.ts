/** What a protected server costs, from counted runs of a real agent and public prices. */
import { expect, test } from "vitest";
import { formatCost, monthlyCost } from "../../bench/monthly-cost.ts";
import { countRuns } from "../../bench/testing/counted-runs.ts";

test("one server at an hourly interval costs less than a dollar a month without storage", async () => {
  // The bench counts more of them; each takes a minute.
  const counted = await countRuns(1);
  const { perRun, metrics } = counted;
  console.log(formatCost([60, 15, 1].map((minutes) => monthlyCost(counted, minutes))));
  expect(monthlyCost(counted, 60).dollars).toBeLessThan(1);
  // What a run cannot do without, so that nothing was left uncounted.
  expect(perRun.stateTransitions).toBeGreaterThanOrEqual(5);
  expect(perRun.stateTransitions).toBeLessThanOrEqual(8);
  expect(perRun.lambdaInvocations).toBeGreaterThanOrEqual(4);
  expect(perRun.schedulerInvocations).toBe(1);
  expect(perRun.kmsSignatures).toBeGreaterThanOrEqual(1);
  expect(perRun.mqttMessages).toBeGreaterThanOrEqual(4);
  expect(perRun.ruleInvocations).toBeGreaterThanOrEqual(2);
  expect(perRun.s3Writes).toBeGreaterThanOrEqual(3);
  expect(perRun.dynamoDbWriteUnits).toBeGreaterThanOrEqual(10);
  expect(perRun.logBytes).toBeGreaterThan(1000);
  expect(metrics).toBe(1);
});
