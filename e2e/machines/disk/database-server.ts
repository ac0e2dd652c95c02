import type { Software } from "./debian-root.ts";

const FOLDER = "etc/postgresql/15/main";

/** What the console shows after the rows of the table `ledger`, after each start. */
export const LEDGER_END = "LEDGER REPORTED";
/** Has the rows shown on the console again. For root. */
export const REPORT_LEDGER = "/bin/sh /usr/local/sbin/report-ledger";
const LEDGER_LINE = /^LEDGER ([\d,-]+)\r?$/m;

/** Runs of consecutive ids, such as `1-40,42-42`. */
const RUNS = `select string_agg(low || '-' || high, ',' order by low) from (
  select min(id) low, max(id) high from (select id, id - row_number() over (order by id) run from ledger) numbered
  group by run) runs`;

/**
 * PostgreSQL 15, as Debian 12 installs it. It answers clients on the network of the virtual machine as
 * `postgres` without a password, and reports its rows on the console.
 */
export const databaseServer: Software = {
  packages: ["postgresql-15"],
  files: {
    [`${FOLDER}/conf.d/network.conf`]: "listen_addresses = '*'\n",
    [`${FOLDER}/pg_hba.conf`]: "local all all peer\nhost all postgres 10.0.2.0/24 trust\n",
    "etc/systemd/system/postgresql@15-main.service.d/report.conf": `[Service]\nExecStartPost=-+${REPORT_LEDGER}\n`,
    "usr/local/share/ledger.sql": `${RUNS};\n`,
    "usr/local/sbin/report-ledger": [
      'rows=$(su postgres -c "psql -Atf /usr/local/share/ledger.sql")',
      'echo "LEDGER $rows" > /dev/ttyS0',
      `echo ${LEDGER_END} > /dev/ttyS0`,
      "",
    ].join("\n"),
  },
};

/** The ids of the rows that a console shows: those of its last start. Throws if it shows none. */
export function rowsOnConsole(console: string): Set<number> {
  const [, runs] =
    console.slice(console.lastIndexOf("LEDGER ", console.lastIndexOf(LEDGER_END) - 1)).match(LEDGER_LINE) ??
    [];
  if (runs === undefined)
    throw new Error(`the console does not show the rows; it ends with ${console.slice(-500)}`);
  const ids = new Set<number>();
  for (const run of runs.split(",")) {
    const [low = 0, high = 0] = run.split("-").map(Number);
    for (let id = low; id <= high; id++) ids.add(id);
  }
  return ids;
}
