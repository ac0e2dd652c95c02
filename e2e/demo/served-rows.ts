import { PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import { type DatabaseLoad, storedRows } from "../site/database-load.ts";
import { longestSilence } from "../site/ledger.ts";
import { POSTGRESQL } from "./protected-database.ts";
import type { Proofs } from "./report-lines.ts";

/** What a client knows after a cutover, whichever machine serves it now. */
export interface ServedRows {
  /** Rows that were acknowledged, before and after the outage. */
  rowsAcknowledged: number;
  /** Rows in the database that serves now. */
  rowsFound: number;
  /** Of `rowsAcknowledged`, those that it has not. */
  rowsMissing: number;
  /** From the last answer before the outage to the first one after it. */
  outageSeconds: number;
}

export const SERVED_ROWS_PROOFS: Proofs<ServedRows> = [
  [
    "the database that serves now has every row that was ever acknowledged",
    ({ rowsAcknowledged, rowsMissing }) => rowsAcknowledged > 0 && rowsMissing === 0,
  ],
];

/** `load`: it may still run. `since`: outages that began earlier do not count. */
export async function servedRows(load: DatabaseLoad, since = 0): Promise<ServedRows> {
  // What is acknowledged from now on may not be found.
  const acknowledged = load.rows.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined);
  const found = new Set(await storedRows(POSTGRESQL, PRODUCTION_ADDRESS));
  const { from, until } = longestSilence(load.rows.filter(({ sentAt }) => sentAt >= since));
  return {
    rowsAcknowledged: acknowledged.length,
    rowsFound: found.size,
    rowsMissing: acknowledged.filter(({ id }) => !found.has(id)).length,
    outageSeconds: (until - from) / 1000,
  };
}
