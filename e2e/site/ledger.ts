import type { ClockLead, SentRow } from "./database-load.ts";

/** The longest time in which the client got no answer, between two that it got: milliseconds since 1970. */
export function longestSilence(sent: readonly SentRow[]): { from: number; until: number } {
  const answers = sent.flatMap(({ acknowledgedAt }) => acknowledgedAt ?? []).sort((a, b) => a - b);
  let longest = { from: 0, until: 0 };
  for (const [index, until] of answers.entries()) {
    const from = answers[index - 1] ?? until;
    if (until - from > longest.until - longest.from) longest = { from, until };
  }
  return longest;
}

/** What a copy of a database has of the rows that a client sent. */
export interface LedgerVerdict {
  /** Rows that were surely acknowledged before the freeze began. */
  acknowledged: number;
  /** Of these, the ids of those that the copy has not. */
  missing: number[];
  /** The ids of rows in the copy that were surely sent after the freeze had ended, or never. */
  tooLate: number[];
}

/**
 * Compares a copy with what the client knows. `frozen` is by the machine's clock. Of rows that arrived
 * while it was frozen, and of unanswered ones, either is right.
 */
export function judgeLedger(
  sent: readonly SentRow[],
  found: ReadonlySet<number>,
  frozen: { from: string; until: string },
  lead: ClockLead,
): LedgerVerdict {
  const from = Date.parse(frozen.from) - lead.most;
  const until = Date.parse(frozen.until) - lead.least;
  const before = sent.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined && acknowledgedAt < from);
  const allowed = new Set(sent.filter(({ sentAt }) => sentAt <= until).map(({ id }) => id));
  return {
    acknowledged: before.length,
    missing: before.map(({ id }) => id).filter((id) => !found.has(id)),
    tooLate: [...found].filter((id) => !allowed.has(id)),
  };
}
