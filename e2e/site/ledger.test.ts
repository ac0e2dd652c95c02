import { expect, test } from "vitest";
import { judgeLedger, longestSilence } from "./ledger.ts";

const at = (ms: number) => new Date(ms).toISOString();
const row = (id: number, sentAt: number, acknowledgedAt?: number) => ({
  ...{ id, sentAt },
  ...(acknowledgedAt === undefined ? {} : { acknowledgedAt }),
});
const SAME_CLOCK = { least: 0, most: 0 };
const frozen = { from: at(1000), until: at(1200) };
const sent = [row(1, 100, 110), row(2, 900, 999), row(3, 1000, 1250), row(4, 1190), row(5, 1300, 1310)];

test("a copy must have what was acknowledged before the freeze, and may have what arrived during it", () => {
  const verdict = { acknowledged: 2, missing: [], tooLate: [] };
  expect(judgeLedger(sent, new Set([1, 2]), frozen, SAME_CLOCK)).toEqual(verdict);
  expect(judgeLedger(sent, new Set([1, 2, 3, 4]), frozen, SAME_CLOCK)).toEqual(verdict);
});

test("rows that a copy lacks, has too early, or that no client sent are found", () => {
  expect(judgeLedger(sent, new Set([1, 5, 9]), frozen, SAME_CLOCK)).toEqual({
    ...{ acknowledged: 2, missing: [2], tooLate: [5, 9] },
  });
});

test("a machine's clock that is ahead moves the freeze, and what is uncertain proves nothing", () => {
  const ahead = { from: at(61_000), until: at(61_200) };
  const lead = { least: 59_900, most: 60_100 };
  expect(judgeLedger(sent, new Set([1, 5]), ahead, lead)).toEqual({
    acknowledged: 1,
    missing: [],
    tooLate: [],
  });
});

test("the longest silence is between two answers, and rows without an answer do not end it", () => {
  const rows = [
    row(1, 0, 10),
    row(2, 20, 500),
    row(3, 510),
    row(4, 2000, 2100),
    row(5, 2110, 2120),
    row(6, 2130),
  ];
  expect(longestSilence(rows)).toEqual({ from: 500, until: 2100 });
  expect(longestSilence([row(1, 0, 10)])).toEqual({ from: 0, until: 0 });
});
