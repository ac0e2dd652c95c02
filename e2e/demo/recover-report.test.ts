import { expect, test } from "vitest";
import { describeRecovered, isRecovered, type RecoverReport } from "./recover-report.ts";

const recovered: RecoverReport = {
  ...{ ok: true, seconds: 700, steps: [{ name: "causeway recover agt_1", seconds: 301 }] },
  ...{ points: 3, rtoSeconds: 300, startSeconds: 90, pointAgeSeconds: 40, commands: [] },
  ...{ rowsAcknowledged: 7, rowsFound: 8, rowsMissing: 0, rowsTooLate: 0, rowsLost: 5 },
};

test("the report says how long the recovery took, how old its point was, and what was lost", () => {
  const text = describeRecovered(recovered);
  expect(text).toContain("first answer 5 min 00 s after the command, 1 min 30 s of it the machine's start");
  expect(text).toContain("was 40 s old when the source lost its power");
  expect(text).toContain("7 acknowledged before the freeze, 8 in the machine, 5 acknowledged later and lost");
  expect(text).not.toContain("NO");
});

test.each<[string, Partial<RecoverReport>]>([
  ["too few points", { points: 2 }],
  ["a machine that did not answer", { rtoSeconds: 0 }],
  ["a row that is missing", { rowsMissing: 1 }],
  ["a row that is too new", { rowsTooLate: 1 }],
  ["a database without rows", { rowsAcknowledged: 0, rowsFound: 0 }],
  ["a failure", { failure: "the computer is too slow" }],
])("%s is no recovery", (_, change) => {
  expect(isRecovered(recovered)).toBe(true);
  expect(isRecovered({ ...recovered, ...change })).toBe(false);
  expect(describeRecovered({ ...recovered, ok: false, ...change })).toContain("FAILED");
});
