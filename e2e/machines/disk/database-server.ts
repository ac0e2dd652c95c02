import type { Software } from "./debian-root.ts";

const FOLDER = "etc/postgresql/15/main";

/** How the console shows the rows of the table `ledger` after each start: count, lowest and highest id. */
export const LEDGER_LINE = /LEDGER (\d+)\|(\d*)\|(\d*)/;

const REPORT = `su postgres -c "psql -Atc 'select count(*), min(id), max(id) from ledger'"`;

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
    "usr/local/sbin/report-ledger": `#!/bin/sh\necho "LEDGER $(${REPORT})" > /dev/ttyS0\n`,
  },
};
