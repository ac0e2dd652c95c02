import type { ClockLead, SentRow } from "../site/database-load.ts";
import { judgeLedger } from "../site/ledger.ts";
import type { Proofs } from "./report-lines.ts";

/** What a machine that was made of a recovery point has of the rows that the client sent. */
export interface RowFacts {
  /** Rows that the database acknowledged before the freeze of the point was requested. */
  rowsAcknowledged: number;
  /** Rows in the machine's database. */
  rowsFound: number;
  /** Of `rowsAcknowledged`, those that the machine has not. */
  rowsMissing: number;
  /** Rows of the machine that were sent after the thaw. */
  rowsTooLate: number;
}

export const ROW_PROOFS: Proofs<RowFacts> = [
  [
    "it has every row that was acknowledged before the freeze",
    ({ rowsAcknowledged, rowsMissing }) => rowsAcknowledged > 0 && rowsMissing === 0,
  ],
  [
    "and none that was sent after the thaw",
    ({ rowsFound, rowsTooLate }) => rowsFound > 0 && rowsTooLate === 0,
  ],
];

/** `frozen`: when the point's disks were, by the machine's clock. */
export function rowFacts(
  sent: readonly SentRow[],
  found: ReadonlySet<number>,
  frozen: { from: string; until: string },
  lead: ClockLead,
): RowFacts {
  const { acknowledged, missing, tooLate } = judgeLedger(sent, found, frozen, lead);
  return {
    rowsAcknowledged: acknowledged,
    rowsFound: found.size,
    rowsMissing: missing.length,
    rowsTooLate: tooLate.length,
  };
}
