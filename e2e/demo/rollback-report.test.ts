import { expect, test } from "vitest";
import { describeRollback, isRolledBack, type RollbackReport } from "./rollback-report.ts";

const rolledBack: RollbackReport = {
  ...{ ok: true, seconds: 1200, steps: [], state: "rolled-back", reason: "no answer", sourceServes: true },
  ...{ outageSeconds: 400, rowsAcknowledged: 70, rowsFound: 70, rowsMissing: 0 },
  states: [{ name: "checking", seconds: 300 }],
  nextRun: { bytesRead: 20 * 2 ** 20, diskBytes: 2 * 2 ** 30 },
};

test("the report says why it was rolled back, and what the standby cost after that", () => {
  const text = describeRollback(rolledBack);
  expect(text).toContain("outage 6 min 40 s; rolled back because: no answer");
  expect(text).toContain("the next run read 20.0 MiB of 2.0 GiB");
  expect(text).not.toContain("NO");
});

test.each<[string, Partial<RollbackReport>]>([
  ["a cutover that completed", { state: "completed" }],
  ["a source that does not serve", { sourceServes: false }],
  ["a row that is missing", { rowsMissing: 1 }],
  ["another baseline", { nextRun: { bytesRead: 2 ** 30, diskBytes: 2 ** 31 } }],
  ["a failure", { failure: "the computer is too slow" }],
])("%s is no rollback", (_, change) => {
  expect(isRolledBack(rolledBack)).toBe(true);
  expect(isRolledBack({ ...rolledBack, ...change })).toBe(false);
});

test("a standby that no run followed is no rollback either", () => {
  const { nextRun: _, ...without } = rolledBack;
  expect(isRolledBack(without)).toBe(false);
});
