import type { Software } from "./debian-root.ts";

const FOLDER = "etc/postgresql/15/main";

/** Where clients reach `productionDatabaseServer`, on the network of its second card. */
export const PRODUCTION_ADDRESS = "198.51.100.10";
const ACCESS = `${FOLDER}/pg_hba.conf`;
const ON_SECOND_CARD = `${PRODUCTION_ADDRESS}/24 dev eth1`;
/** A cutover asks its isolated machine in the place of this network's gateway. */
const GATEWAY = "203.0.113.0/24 via 198.51.100.1 dev eth1";

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
    [ACCESS]: "local all all peer\nhost all postgres 10.0.2.0/24 trust\n",
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

/** The same, at an address that a service of its own holds, as the operations guide advises. */
export const productionDatabaseServer: Software = {
  packages: databaseServer.packages,
  files: {
    ...databaseServer.files,
    [ACCESS]: `${databaseServer.files[ACCESS]}host all postgres 198.51.100.0/24 trust\n`,
    "etc/systemd/system/multi-user.target.d/production-address.conf":
      "[Unit]\nWants=production-address.service\n",
    "etc/systemd/system/production-address.service": [
      "[Unit]",
      "Wants=network-online.target sys-subsystem-net-devices-eth1.device",
      "After=network-online.target sys-subsystem-net-devices-eth1.device",
      "[Service]",
      "Type=oneshot",
      "RemainAfterExit=yes",
      "ExecStart=ip link set eth1 up",
      `ExecStart=ip address add ${ON_SECOND_CARD}`,
      `ExecStart=ip route replace ${GATEWAY}`,
      `ExecStop=ip address delete ${ON_SECOND_CARD}`,
      // The machine in this one's place has a card with the same hardware address.
      "ExecStop=ip link set eth1 down",
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
