import { rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CausewayError } from "#shared/errors.ts";
import type { Drill } from "#shared/protocol/drill.ts";
import type { Plan, Run } from "#shared/protocol/protection.ts";
import { databaseServer, LEDGER_END, rowsOnConsole } from "../machines/disk/database-server.ts";
import { debianMachine, type MachineSite, openMachineSite } from "../machines/machine-site.ts";
import { restartFromConsole } from "../machines/restart-from-console.ts";
import { clockLead, DatabaseLoad } from "../site/database-load.ts";
import { freePort } from "../site/free-port.ts";
import { judgeLedger } from "../site/ledger.ts";
import {
  completedRuns,
  describeOutcome,
  factsOfRuns,
  isProved,
  POINTS,
  type ProtectReport,
} from "./protect-report.ts";
import { type RunStep, secondsSince, stepRunner } from "./steps.ts";

const POSTGRESQL = 5432;
/** About ten rows in a second, if the machine is quick enough. */
const PAUSE_MS = 100;
const LOOK_EVERY_MS = 3000;
/** The first copy of the whole disk is the longest wait for a point. */
const POINT_LIMIT_MS = 1_800_000;
const ROWS_LIMIT_MS = 300_000;

interface Protected {
  site: MachineSite;
  load: DatabaseLoad;
  /** Where clients of this computer reach the database. */
  port: number;
  step: RunStep;
  facts: ProtectReport;
}

/**
 * Protects a real machine whose database takes writes from a client outside of it, every minute, until it
 * has ten recovery points, with a restart in the middle. Then it drills the last one, and compares the rows
 * in its clone with what the client knows. The disks are kept if it fails, and if `keep` is set.
 */
export async function protectDemo({ keep }: { keep: boolean }): Promise<ProtectReport> {
  const began = performance.now();
  const dir = await mkdtemp(join(tmpdir(), "causeway-protect-demo-"));
  const facts: ProtectReport = {
    ...{ ok: false, restarted: false, ...factsOfRuns([]), lagSeconds: 0 },
    ...{ rowsAcknowledged: 0, rowsFound: 0, rowsMissing: 0, rowsTooLate: 0, cloneBooted: false },
    ...{ seconds: 0, steps: [] },
  };
  const step = stepRunner(facts.steps);
  let disks: readonly string[] = [];
  try {
    const port = await freePort();
    await using site = await step("bring up the control plane, a target host and the database server", () =>
      openDatabaseSite(dir, port),
    );
    disks = site.disks;
    const load = new DatabaseLoad(port, { pauseMs: PAUSE_MS });
    try {
      await protectAndDrill({ site, load, port, step, facts });
    } finally {
      await load.stop();
    }
  } catch (error) {
    facts.failure = error instanceof Error ? error.message : String(error);
  }
  facts.ok = isProved(facts);
  facts.seconds = secondsSince(began);
  if (facts.ok && !keep) for (const path of disks) rmSync(path);
  return facts;
}

async function openDatabaseSite(dir: string, port: number): Promise<MachineSite> {
  const log = (line: string) => console.error(`  ${line}`);
  const original = await debianMachine({ firmware: "bios", software: databaseServer, log });
  const forward = { host: port, guest: POSTGRESQL };
  return openMachineSite({ dir, firmware: "bios", original, forward, log });
}

async function protectAndDrill({ site, load, port, step, facts }: Protected): Promise<void> {
  const { installation, machine } = site;
  await step("wait for the database's first rows", () => untilAcknowledged(load, 20));
  const words = ["protect", site.sourceId, "--every", "1m", "--keep", "last=100"];
  const plan = (await installation.json(words)) as Plan;
  const watched = { planId: plan.id, facts, shown: new Set<string>() };
  const before = Math.floor(POINTS / 2);
  await step(`protect it every minute, until there are ${before} points`, () =>
    untilPoints(site, { ...watched, points: before }),
  );
  await step("restart the database server", async () => {
    await restartFromConsole(machine);
    await untilAcknowledged(load, load.acknowledged + 20);
  });
  facts.restarted = true;
  const runs = await step(`protect it until there are ${POINTS} points, the last one by the tracker`, () =>
    untilPoints(site, {
      ...watched,
      points: POINTS,
      fits: ({ result }) => result.disks.every(({ mode }) => mode === "tracked"),
    }),
  );
  facts.lagSeconds = await ageOfNewest(site, plan.id);
  await installation.json(["plan", plan.id, "pause"]);
  const lead = await clockLead(port);
  const last = completedRuns(runs).at(-1);
  if (!last?.result.frozen || last.pointId === undefined) throw new Error("the last point has no instant");
  const drill = await step("drill the last point: boot a clone of it without network", () =>
    drillPoint(site, last.pointId ?? ""),
  );
  facts.cloneBooted = drill.result?.verdict === "booted";
  const consoleText = installation.storedObject(drill.result?.consoleLogKey ?? "").toString("utf8");
  facts.consoleLog = join(installation.dir, "drill-console.log");
  writeFileSync(facts.consoleLog, consoleText);
  const found = rowsOnConsole(consoleText);
  const verdict = judgeLedger(load.rows, found, last.result.frozen, lead);
  Object.assign(facts, {
    rowsAcknowledged: verdict.acknowledged,
    rowsFound: found.size,
    rowsMissing: verdict.missing.length,
    rowsTooLate: verdict.tooLate.length,
  });
}

interface AwaitedPoints {
  planId: string;
  facts: ProtectReport;
  /** Ids of the runs that were shown. */
  shown: Set<string>;
  points: number;
  fits?: (newest: ReturnType<typeof completedRuns>[number]) => boolean;
}

/**
 * Waits until the plan has `points` points, of which the newest one fits. Shows each run
 * that ends once, and keeps `facts` up to date.
 */
async function untilPoints(
  { installation }: MachineSite,
  { planId, facts, shown, points, fits = () => true }: AwaitedPoints,
): Promise<Run[]> {
  let lastPointAt = performance.now();
  for (;;) {
    const runs = await allRuns(installation, planId);
    for (const run of runs) {
      if (!run.endedAt || shown.has(run.id)) continue;
      shown.add(run.id);
      if (run.state === "completed") lastPointAt = performance.now();
      console.error(`  ${run.dueAt.slice(11, 19)} ${describeOutcome(run)}`);
    }
    const completed = completedRuns(runs);
    if (runs.length > 0) Object.assign(facts, factsOfRuns(runs));
    const newest = completed.at(-1);
    if (completed.length >= points && newest && fits(newest)) return runs;
    if (performance.now() - lastPointAt > POINT_LIMIT_MS)
      throw new Error(`no recovery point was made for ${POINT_LIMIT_MS / 60_000} minutes`);
    await wait(LOOK_EVERY_MS);
  }
}

async function allRuns(installation: MachineSite["installation"], planId: string): Promise<Run[]> {
  try {
    const call = { parameters: { id: planId }, query: { limit: 200 } };
    return (await installation.api.listRuns(call)).items.toReversed();
  } catch (error) {
    // A busy computer can make a request wait too long.
    if (error instanceof CausewayError && error.retryable) return [];
    throw error;
  }
}

async function ageOfNewest({ installation }: MachineSite, planId: string): Promise<number> {
  const { lagSeconds } = await installation.api.getPlan({ parameters: { id: planId } });
  return Math.round(lagSeconds ?? Number.NaN);
}

async function drillPoint({ installation, targetId }: MachineSite, pointId: string): Promise<Drill> {
  const words = ["drill", pointId, "--target", targetId, "--expect", LEDGER_END];
  const { stdout, stderr } = await installation.cli([...words, "--boot-timeout", "1200", "--wait", "--json"]);
  if (stdout === "") throw new Error(`the drill did not end: ${stderr}`);
  return JSON.parse(stdout) as Drill;
}

async function untilAcknowledged(load: DatabaseLoad, rows: number): Promise<void> {
  const deadline = performance.now() + ROWS_LIMIT_MS;
  while (load.acknowledged < rows) {
    if (performance.now() > deadline) throw new Error(`the database acknowledged ${load.acknowledged} rows`);
    await wait(200);
  }
}
