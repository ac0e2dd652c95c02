/** A machine whose database takes writes from a client outside of it while it is protected, for the demos. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Plan, Run } from "#shared/protocol/protection.ts";
import {
  databaseServer,
  PRODUCTION_ADDRESS,
  productionDatabaseServer,
} from "../machines/disk/database-server.ts";
import {
  debianMachine,
  type MachineSite,
  openMachineSite,
  type TargetHost,
} from "../machines/machine-site.ts";
import type { ProductionNetwork } from "../machines/production-network.ts";
import { answered } from "../site/answered.ts";
import { DatabaseLoad } from "../site/database-load.ts";
import { freePort } from "../site/free-port.ts";
import type { Installation } from "../site/installation.ts";
import { type CompletedRun, completedRuns, describeOutcome } from "./protection-runs.ts";
import type { DemoOutcome } from "./report-lines.ts";
import { type RunStep, secondsSince, stepRunner } from "./steps.ts";

export const POSTGRESQL = 5432;
/** What a cutover stops on the source: the database, and its address for clients. */
const SERVICES = ["postgresql.service", "production-address.service"];
/** About ten rows in a second, if the machine is quick enough. */
const PAUSE_MS = 100;
const LOOK_EVERY_MS = 3000;
/** The first copy of the whole disk is the longest wait for a point. */
const POINT_LIMIT_MS = 1_800_000;
const MORE_ROWS = 20;
const ROWS_LIMIT_MS = 300_000;

export interface ProtectedDatabase {
  site: MachineSite;
  load: DatabaseLoad;
  /** Of this computer's loopback interface, where the database also answers. */
  port: number;
  step: RunStep;
}

/** Where the database and its clients are. */
export interface DatabaseSurroundings {
  /** Makes the target host ready in the folder of the site's files. */
  prepareTarget?: (dir: string, log: (line: string) => void) => Promise<TargetHost>;
  /**
   * The network on which clients reach the database, at `PRODUCTION_ADDRESS`. A service holds that address,
   * and the agent fences it with the database. Without it, clients use a port of this computer.
   */
  production?: ProductionNetwork;
}

export interface DatabaseDemo<Report> extends DatabaseSurroundings {
  /** A part of the name of the folder for its files. */
  name: string;
  keep: boolean;
  isProved: (report: Report) => boolean;
}

/**
 * Brings the machine up with its files in `dir`, and a client that writes rows. Disposing of it stops both,
 * but keeps the files.
 */
export async function openProtectedDatabase(
  dir: string,
  step: RunStep,
  { prepareTarget, production }: DatabaseSurroundings,
): Promise<ProtectedDatabase & AsyncDisposable> {
  const log = (line: string) => console.error(`  ${line}`);
  const port = await freePort();
  await using opened = new AsyncDisposableStack();
  const site = opened.use(
    await step("bring up the control plane, a target host and the database server", async () => {
      const software = production ? productionDatabaseServer : databaseServer;
      const original = await debianMachine({ firmware: "bios", software, log });
      const target = await prepareTarget?.(dir, log);
      const forward = { host: port, guest: POSTGRESQL };
      const cutOver = production ? { tap: production.tap, fenceServices: SERVICES } : {};
      const given = { ...(target ? { target } : {}), ...cutOver };
      return openMachineSite({ dir, firmware: "bios", original, forward, log, ...given });
    }),
  );
  const load = production
    ? new DatabaseLoad(POSTGRESQL, { pauseMs: PAUSE_MS, host: PRODUCTION_ADDRESS })
    : new DatabaseLoad(port, { pauseMs: PAUSE_MS });
  opened.adopt(load, (each) => each.stop());
  await step("wait for the database's first rows", () => untilMoreRows(load));
  const running = opened.move();
  return { site, load, port, step, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/**
 * Brings the machine up, calls `work` while a client writes rows, and completes `facts`, also if that fails.
 * The disks are kept if it fails, and if `keep` is set.
 */
export async function runDatabaseDemo<Report extends DemoOutcome>(
  facts: Report,
  { name, keep, isProved, ...surroundings }: DatabaseDemo<Report>,
  work: (database: ProtectedDatabase) => Promise<void>,
): Promise<Report> {
  const began = performance.now();
  const dir = await mkdtemp(join(tmpdir(), `causeway-${name}-demo-`));
  let disks: readonly string[] = [];
  try {
    await using database = await openProtectedDatabase(dir, stepRunner(facts.steps), surroundings);
    disks = database.site.disks;
    await work(database);
  } catch (error) {
    facts.failure = error instanceof Error ? error.message : String(error);
  }
  facts.ok = isProved(facts);
  facts.seconds = secondsSince(began);
  if (facts.ok && !keep) for (const path of disks) rmSync(path);
  return facts;
}

/** Waits until the server has acknowledged some more rows. */
export async function untilMoreRows(load: DatabaseLoad): Promise<void> {
  const rows = load.acknowledged + MORE_ROWS;
  const deadline = performance.now() + ROWS_LIMIT_MS;
  while (load.acknowledged < rows) {
    if (performance.now() > deadline) throw new Error(`the database acknowledged ${load.acknowledged} rows`);
    await wait(200);
  }
}

/** A plan of one recovery point a minute, and its runs. */
export class MinutePlan {
  readonly id: string;
  readonly #installation: Installation;
  readonly #onRuns: (runs: readonly Run[]) => void;
  /** Ids of the runs that were shown. */
  readonly #shown = new Set<string>();

  private constructor(installation: Installation, id: string, onRuns: (runs: readonly Run[]) => void) {
    this.id = id;
    this.#installation = installation;
    this.#onRuns = onRuns;
  }

  /**
   * `onRuns` is called with all runs, oldest first, again and again while points are awaited. `options`: more
   * of the command line's.
   */
  static async start(
    { installation, sourceId }: MachineSite,
    onRuns: (runs: readonly Run[]) => void,
    options: readonly string[] = [],
  ): Promise<MinutePlan> {
    const words = ["protect", sourceId, "--every", "1m", "--keep", "last=100", ...options];
    const { id } = (await installation.json(words)) as Plan;
    return new MinutePlan(installation, id, onRuns);
  }

  /**
   * Waits until there are `points` points, of which `fits` accepts the newest. Shows each run that ends once.
   */
  async untilPoints(
    points: number,
    fits: (newest: CompletedRun) => boolean = () => true,
  ): Promise<CompletedRun[]> {
    let lastPointAt = performance.now();
    for (;;) {
      const runs = await this.#runs();
      for (const run of runs) {
        if (!run.endedAt || this.#shown.has(run.id)) continue;
        this.#shown.add(run.id);
        if (run.state === "completed") lastPointAt = performance.now();
        console.error(`  ${run.dueAt.slice(11, 19)} ${describeOutcome(run)}`);
      }
      const completed = completedRuns(runs);
      if (runs.length > 0) this.#onRuns(runs);
      const newest = completed.at(-1);
      if (completed.length >= points && newest && fits(newest)) return completed;
      if (performance.now() - lastPointAt > POINT_LIMIT_MS)
        throw new Error(`no recovery point was made for ${POINT_LIMIT_MS / 60_000} minutes`);
      await wait(LOOK_EVERY_MS);
    }
  }

  /** The run that made a point, which has ended. */
  async runOf(pointId: string): Promise<CompletedRun> {
    const run = completedRuns(await this.#list()).find((each) => each.pointId === pointId);
    if (!run) throw new Error(`no run of the plan has made the point ${pointId}`);
    return run;
  }

  /** Oldest first. */
  async #list(): Promise<Run[]> {
    const call = { parameters: { id: this.id }, query: { limit: 200 } };
    return (await this.#installation.api.listRuns(call)).items.toReversed();
  }

  /** None if the control plane is too busy to answer. */
  async #runs(): Promise<Run[]> {
    return (await answered(() => this.#list())) ?? [];
  }
}
