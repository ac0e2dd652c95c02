import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Drill } from "#shared/protocol/drill.ts";
import { LEDGER_END, rowsOnConsole } from "../machines/disk/database-server.ts";
import type { MachineSite } from "../machines/machine-site.ts";
import { restartFromConsole } from "../machines/restart-from-console.ts";
import { clockLead } from "../site/database-load.ts";
import { factsOfRuns, isProved, POINTS, type ProtectReport } from "./protect-report.ts";
import { MinutePlan, type ProtectedDatabase, runDatabaseDemo, untilMoreRows } from "./protected-database.ts";
import { isTracked } from "./protection-runs.ts";
import { rowFacts } from "./row-facts.ts";

/**
 * Protects a real machine whose database takes writes from a client outside of it, every minute, until it
 * has ten recovery points, with a restart in the middle. Then it drills the last one, and compares the rows
 * in its clone with what the client knows. The disks are kept if it fails, and if `keep` is set.
 */
export function protectDemo({ keep }: { keep: boolean }): Promise<ProtectReport> {
  const facts: ProtectReport = {
    ...{ ok: false, restarted: false, ...factsOfRuns([]), lagSeconds: 0 },
    ...{ rowsAcknowledged: 0, rowsFound: 0, rowsMissing: 0, rowsTooLate: 0, cloneBooted: false },
    ...{ seconds: 0, steps: [] },
  };
  return runDatabaseDemo(facts, { name: "protect", keep, isProved }, (database) =>
    protectAndDrill(database, facts),
  );
}

async function protectAndDrill(
  { site, load, port, step }: ProtectedDatabase,
  facts: ProtectReport,
): Promise<void> {
  const { installation, machine } = site;
  const plan = await MinutePlan.start(site, (runs) => Object.assign(facts, factsOfRuns(runs)));
  const before = Math.floor(POINTS / 2);
  await step(`protect it every minute, until there are ${before} points`, () => plan.untilPoints(before));
  await step("restart the database server", async () => {
    await restartFromConsole(machine);
    await untilMoreRows(load);
  });
  facts.restarted = true;
  const completed = await step(
    `protect it until there are ${POINTS} points, the last one by the tracker`,
    () => plan.untilPoints(POINTS, isTracked),
  );
  facts.lagSeconds = await ageOfNewest(site, plan.id);
  await installation.json(["plan", plan.id, "pause"]);
  const lead = await clockLead(port);
  const last = completed.at(-1);
  if (!last?.result.frozen || last.pointId === undefined) throw new Error("the last point has no instant");
  const drill = await step("drill the last point: boot a clone of it without network", () =>
    drillPoint(site, last.pointId ?? ""),
  );
  facts.cloneBooted = drill.result?.verdict === "booted";
  const consoleText = installation.storedObject(drill.result?.consoleLogKey ?? "").toString("utf8");
  facts.consoleLog = join(installation.dir, "drill-console.log");
  writeFileSync(facts.consoleLog, consoleText);
  Object.assign(facts, rowFacts(load.rows, rowsOnConsole(consoleText), last.result.frozen, lead));
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
