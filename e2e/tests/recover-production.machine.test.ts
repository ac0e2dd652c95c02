/** A whole database server that has a standby is recovered: proved on a test network, then in production. */
import { expect, test } from "vitest";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { type CutoverSite, runCutoverDemo } from "../demo/cutover-site.ts";
import { becomesFenced, staysFenced } from "../demo/fenced-source.ts";
import { leaveNothing, startStandby } from "../demo/prepared-cutover.ts";
import { POSTGRESQL, type ProtectedDatabase, untilMoreRows } from "../demo/protected-database.ts";
import { isTracked } from "../demo/protection-runs.ts";
import type { DemoOutcome } from "../demo/report-lines.ts";
import { type RowFacts, rowFacts } from "../demo/row-facts.ts";
import { LEDGER_END, PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import type { ProductionNetwork } from "../machines/production-network.ts";
import type { SystemdHost } from "../machines/systemd-host.ts";
import { answered } from "../site/answered.ts";
import { clockLead, DatabaseLoad, storedRows } from "../site/database-load.ts";
import { until } from "../testing/until.ts";

const LIMIT_MS = 5_400_000;
/** The test looks at libvirt's process, and how its guard pauses it. */
const HYPERVISOR = "libvirt";
const MACHINE = ["--hypervisor", HYPERVISOR, "--software", "--adapt"];
/** The machine pauses within 65 s. */
const PAUSE_LIMIT_SECONDS = 75;
const START_LIMIT_SECONDS = 900;
const LOOK_EVERY_MS = 1000;

interface Facts extends DemoOutcome, RowFacts {
  /** What the comparison of files found on the test network. */
  proof?: Recovery["proof"];
  /** From the command to the first answer in production. */
  rtoSeconds?: number;
  isSourceFenced: boolean;
  /** Rows that a client stored in the machine after the recovery, and that it has at the end. */
  rowsServed: number;
}

test(
  "a database server is proved on a test network, and runs in production after its power is cut: paused while its lease has lapsed, with every row of its point, and with its source fenced",
  async () => {
    const facts: Facts = {
      ...{ ok: false, seconds: 0, steps: [], isSourceFenced: false, rowsServed: 0 },
      ...{ rowsAcknowledged: 0, rowsFound: 0, rowsMissing: 0, rowsTooLate: 0 },
    };
    const demo = { name: "production", keep: false, isProved: () => true, hypervisor: HYPERVISOR } as const;
    await runCutoverDemo(facts, demo, (database, made) => proveAndRecover(database, made, facts));
    console.error(JSON.stringify(facts, null, 1));
    expect(facts.failure).toBeUndefined();
    expect(facts.proof).toMatchObject({ outcome: "equal" });
    expect(facts).toMatchObject({ rowsMissing: 0, rowsTooLate: 0, isSourceFenced: true });
    for (const count of [facts.rowsAcknowledged, facts.rowsServed, facts.rtoSeconds])
      expect(count).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

async function proveAndRecover(
  database: ProtectedDatabase,
  { network, host }: CutoverSite,
  facts: Facts,
): Promise<void> {
  const { site, load, port, step } = database;
  const { plan } = await startStandby(database);
  facts.proof = await step("recover it to a test network, with a proof, and remove that machine", () =>
    proveOnTestNetwork(database),
  );
  const lead = await clockLead(port);
  await step("wait for one more point, and rows after it", async () => {
    const { length } = await plan.untilPoints(1, isTracked);
    await plan.untilPoints(length + 1, isTracked);
    await untilMoreRows(load);
  });
  await step("cut the source's power", () => site.machine.cutPower());
  await load.stop();
  const recovery = await step("recover it in production, without the control plane for a while", () =>
    recoverInProduction(database, network, host),
  );
  try {
    facts.rtoSeconds = recovery.rtoSeconds;
    const { frozen } = (await plan.runOf(recovery.pointId)).result;
    if (!frozen) throw new Error(`the point ${recovery.pointId} has no instant`);
    const found = await step("read its rows", untilRowsRead);
    Object.assign(facts, rowFacts(load.rows, found, frozen, lead));
    await step("switch the source on again, and wait until it is fenced", () => becomesFenced(site.machine));
    facts.isSourceFenced = await step("cut the source's power, and start it again", () =>
      staysFenced(site.machine),
    );
    facts.rowsServed = await step("have the machine store rows", () => rowsServed(found));
  } finally {
    await leaveNothing(site.installation, recovery.id);
  }
}

/** PostgreSQL accepts connections some time before it serves them. */
async function untilRowsRead(): Promise<Set<number>> {
  const rows = () => storedRows(POSTGRESQL, PRODUCTION_ADDRESS).catch(() => undefined);
  return new Set(await until("the database to serve", rows, START_LIMIT_SECONDS, LOOK_EVERY_MS));
}

async function proveOnTestNetwork({ site }: ProtectedDatabase): Promise<Recovery["proof"]> {
  const { installation, sourceId, targetId } = site;
  const target = ["--target", targetId, "--test-network", ...MACHINE];
  const words = ["recover", sourceId, ...target, "--prove", "--expect", LEDGER_END, "--wait"];
  const { id, proof } = (await installation.json(words)) as Recovery;
  await leaveNothing(installation, id);
  return proof;
}

/** Cuts the control plane's power while the machine starts, until its guard has paused it. */
async function recoverInProduction(
  { site: { installation, sourceId, targetId } }: ProtectedDatabase,
  { bridge }: ProductionNetwork,
  host: SystemdHost,
): Promise<Recovery> {
  const { id } = (await installation.json([
    ...["recover", sourceId, "--target", targetId, "--production", "--source-is-off", ...MACHINE],
    ...["--nic", "isolated,keep=eth0", "--nic", `bridge:${bridge},keep=eth1`],
    ...["--answer", `${PRODUCTION_ADDRESS}:${POSTGRESQL}`],
  ])) as Recovery;
  const look = async () => {
    const recovery = await answered(() => installation.api.getRecovery({ parameters: { id } }));
    if (recovery?.state === "failed") throw new Error(recovery.failure?.message);
    return recovery;
  };
  // The guard stops the process, and libvirt does not notice. The guest that adapts the system has no name.
  const processes = () => host.shell("ps -e -o stat=,args= | grep 'name [g]uest=' || true");
  const isOn = async () => ((await look()) && /^[RSD]/m.test(await processes())) || undefined;
  const isPaused = async () => /^T/m.test(await processes()) || undefined;
  const isDone = async () => {
    const recovery = await look();
    return recovery?.state === "completed" ? recovery : undefined;
  };
  await until("the machine to run", isOn, START_LIMIT_SECONDS, LOOK_EVERY_MS);
  await installation.kill("cloud");
  await until("the guard to pause the machine", isPaused, PAUSE_LIMIT_SECONDS, LOOK_EVERY_MS);
  await installation.up();
  return until("the recovery to end", isDone, START_LIMIT_SECONDS, LOOK_EVERY_MS);
}

/** Of the rows that a client sends now, how many were acknowledged and are stored. */
async function rowsServed(before: ReadonlySet<number>): Promise<number> {
  const load = new DatabaseLoad(POSTGRESQL, { pauseMs: 100, host: PRODUCTION_ADDRESS, firstId: 1_000_000 });
  try {
    await untilMoreRows(load);
  } finally {
    await load.stop();
  }
  const stored = new Set(await storedRows(POSTGRESQL, PRODUCTION_ADDRESS));
  const lost = [...before].filter((id) => !stored.has(id));
  const served = load.rows.filter(({ id, acknowledgedAt }) => acknowledgedAt !== undefined && stored.has(id));
  return lost.length === 0 ? served.length : 0;
}
