import type { Software } from "./debian-root.ts";

const FOLDER = "etc/postgresql/15/main";

/** How the console shows the rows of the table `ledger` after each start: how many, and the highest id. */
export const LEDGER_LINE = /LEDGER (\d+)\|(\d*)/;
/** What the console shows after that. */
export const LEDGER_END = "LEDGER REPORTED";

const REPORT = `su postgres -c "psql -Atc 'select count(*), max(id) from ledger'"`;

/**
 * PostgreSQL 15, as Debian 12 installs it. It answers clients on the network of the virtual machine as
 * `postgres` without a password, and reports its rows on the console.
 */
export const databaseServer: Software = {
  packages: ["postgresql-15"],
  files: {
    [`${FOLDER}/conf.d/network.conf`]: "listen_addresses = '*'\n",
    [`${FOLDER}/pg_hba.conf`]: "local all all peer\nhost all postgres 10.0.2.0/24 trust\n",
    "etc/systemd/system/postgresql@15-main.service.d/report.conf":
      "[Service]\nExecStartPost=-+/bin/sh /usr/local/sbin/report-ledger\n",
    "usr/local/sbin/report-ledger": `echo "LEDGER $(${REPORT})" > /dev/ttyS0\necho ${LEDGER_END} > /dev/ttyS0\n`,
  },
};
