/** Cold cutovers of a real machine: in the outage it restarts into its boot environment, which reads it. */
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiError } from "#shared/protocol/client.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { duration } from "#shared/units.ts";
import { describeStates, stateTimes } from "../demo/cutover-report.ts";
import { type CutoverSite, openSurroundings } from "../demo/cutover-site.ts";
import { startFenced, staysFenced } from "../demo/fenced-source.ts";
import { carryOut, leaveNothing, prepareCutover } from "../demo/prepared-cutover.ts";
import {
  MinutePlan,
  openProtectedDatabase,
  type ProtectedDatabase,
  untilMoreRows,
} from "../demo/protected-database.ts";
import { servedRows } from "../demo/served-rows.ts";
import { stepRunner } from "../demo/steps.ts";
import { cachedBootImage, uploadBootImage } from "../machines/cold-site.ts";
import { LEDGER_END } from "../machines/disk/database-server.ts";
import { bootDifferences, observe } from "../machines/observed-machine.ts";
import { until } from "../testing/until.ts";

const COLD = ["--quiesce", "cold"];
/** The machine never says this. */
const FAILS_ITS_CHECK = ["--expect", "THE DATABASE OF TOMORROW IS READY", "--answer-timeout", "60"];
const PASSES_ITS_CHECK = ["--expect", LEDGER_END];
/** More than this part of the disks would be another baseline. */
const CHANGES_ONLY = 0.1;
const SLOW_MACHINE_SECONDS = 300;
const LOOK_EVERY_MS = 1000;
const OPENING_LIMIT_MS = 3_600_000;
const LIMIT_MS = 5_400_000;

const opened = new AsyncDisposableStack();
let dir: string;
let made: CutoverSite;
let database: ProtectedDatabase;
let plan: MinutePlan;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-cold-cutover-"));
  const surroundings = await openSurroundings(opened);
  database = opened.use(await openProtectedDatabase(dir, stepRunner([]), surroundings));
  made = { network: surroundings.production, host: surroundings.host() };
  const { site, step } = database;
  await uploadBootImage(site.installation, await cachedBootImage(() => {}));
  plan = await MinutePlan.start(site, () => {}, ["--standby", site.targetId]);
  await step("protect it, with a standby, until there is a point", () => plan.untilPoints(1));
}, OPENING_LIMIT_MS);
afterAll(async () => {
  await opened.disposeAsync();
  await rm(dir, { recursive: true, force: true });
});

/** Prepares a cutover, shows its forecast, and carries it out. `work` looks at how it ended. */
async function cutOver(options: readonly string[], work: (cutover: Cutover) => Promise<void>): Promise<void> {
  const { installation } = database.site;
  const id = await prepareCutover(database, made, [...COLD, ...options]);
  try {
    console.error((await installation.cli(["cutover", "forecast", id])).stdout);
    const cutover = await carryOut(database, id);
    console.error((await installation.cli(["cutover", "show", id])).stdout);
    await work(cutover);
  } finally {
    await leaveNothing(installation, id);
  }
}

function show(cutover: Cutover, outageSeconds: number): void {
  console.error(`  a client got no answer for ${duration(outageSeconds)}`);
  console.error(describeStates({ states: stateTimes(cutover) }));
}

/** Waits for the signed receipt, which must say that the source's boot loader is as it was before. */
async function untilAttested({ id }: Cutover): Promise<void> {
  const { api } = database.site.installation;
  const found = async () => {
    try {
      // That of the proof, if there is one, comes earlier.
      return (await api.getCutoverReceipt({ parameters: { id } })).receipt;
    } catch (error) {
      if (error instanceof ApiError && error.problem.name === "NotFoundError") return undefined;
      throw error;
    }
  };
  const { content } = await until("the boot receipt", found, SLOW_MACHINE_SECONDS, LOOK_EVERY_MS);
  expect(content).toMatchObject({ conversionId: id, outcome: "equal", loader: "grub" });
}

test("if the machine fails its check, the source comes back into its own system and serves, with its boot loader as it was, and its standby is copied no second time", {
  timeout: LIMIT_MS,
}, async () => {
  const { site, load, step } = database;
  const before = await step("look at every file of the source", () => observe(site));
  await cutOver(FAILS_ITS_CHECK, async (cutover) => {
    expect(cutover).toMatchObject({
      ...{ state: "rolled-back", failure: { name: "MachineSilentError" }, sourceServes: "yes" },
    });
    // It is shown only while the source is away.
    expect(cutover.whereabouts).toBeUndefined();
    await step("wait for rows that the source acknowledges", () => untilMoreRows(load));
    await untilAttested(cutover);
    const after = await step("look at every file of the source", () => observe(site));
    expect(bootDifferences(before, after)).toEqual([]);
    expect(Object.keys(after.files).filter((path) => /^\/(etc|boot)\/.*fence/.test(path))).toEqual([]);
    const runs = await step("wait for the next point", () =>
      plan.untilPoints(1, ({ dueAt }) => dueAt > (cutover.endedAt ?? "")),
    );
    const next = runs.find(({ dueAt }) => dueAt > (cutover.endedAt ?? ""));
    if (next?.result.standby?.state !== "applied") throw new Error("the standby is not at the next point");
    const diskBytes = site.disks.reduce((sum, path) => sum + statSync(path).size, 0);
    expect(next.result.standby.bytesWritten).toBeLessThan(CHANGES_ONLY * diskBytes);
    const rows = await servedRows(load);
    expect(rows.rowsMissing).toBe(0);
    show(cutover, rows.outageSeconds);
  });
});

test("a source is read and proved in its boot environment and switched off, a machine with every row takes its place, and the source comes back fenced, also after a power cut", {
  timeout: LIMIT_MS,
}, async () => {
  const { site, load, step } = database;
  const since = Date.now();
  await cutOver([...PASSES_ITS_CHECK, "--prove"], async (cutover) => {
    expect(cutover.failure).toBeUndefined();
    expect(cutover).toMatchObject({ state: "completed", quiesce: "cold", sourceOff: "announced" });
    expect(cutover.proof).toMatchObject({ outcome: "equal", pointId: cutover.pointId });
    const parts = cutover.forecast?.parts.map(({ part }) => part);
    expect(parts).toEqual(expect.arrayContaining(["boot-environment", "scan", "switch-off"]));
    await until(
      "the source to be off",
      () => (site.machine.isOn ? undefined : true),
      SLOW_MACHINE_SECONDS,
      LOOK_EVERY_MS,
    );
    await step("wait for rows that the machine acknowledges", () => untilMoreRows(load));
    // What its boot environment left keeps the services down, and says so, before any agent runs.
    const isFenced = await step("switch the source on", () => startFenced(site.machine));
    expect(isFenced, site.machine.console).toBe(true);
    await untilAttested(cutover);
    expect(await step("cut its power, and start it again", () => staysFenced(site.machine))).toBe(true);
    await step("wait for rows that the machine acknowledges", () => untilMoreRows(load));
    const lease = await site.installation.api.getLease({ parameters: { id: site.sourceId } });
    expect(lease).toMatchObject({ state: "permanent", ownerId: cutover.id });
    await load.stop();
    const rows = await servedRows(load, since);
    show(cutover, rows.outageSeconds);
    expect(rows.rowsMissing).toBe(0);
    expect(rows.rowsAcknowledged).toBeGreaterThan(0);
  });
});
