import { expect, test } from "vitest";
import { auditTable } from "./audit.ts";

const entry = {
  id: "aud_1",
  at: "2030-01-01T10:20:00.000Z",
  actor: "anyone",
  action: "enrolment-refused",
  subject: "unknown-token",
  outcome: "refused" as const,
};

test("an entry for several refusals shows their number and the time of the last one", () => {
  const lastAt = "2030-01-01T10:25:00.000Z";
  const lines = auditTable([
    { ...entry, count: 21, lastAt },
    { ...entry, count: 1, lastAt: entry.at },
    { ...entry, outcome: "done" },
  ]).split("\n");
  expect(lines.map((line) => line.split(/ {2,}/)[4])).toEqual([
    "OUTCOME",
    `refused 21 times, last ${lastAt}`,
    "refused",
    "done",
  ]);
});
