import { statSync } from "node:fs";
import { stateTimes } from "./cutover-report.ts";
import { type CutoverDemoOptions, type CutoverSite, runCutoverDemo } from "./cutover-site.ts";
import { carryOut, leaveNothing, prepareCutover, startStandby } from "./prepared-cutover.ts";
import { type MinutePlan, type ProtectedDatabase, untilMoreRows } from "./protected-database.ts";
import { isTracked } from "./protection-runs.ts";
import { isRolledBack, type RollbackReport } from "./rollback-report.ts";
import { servedRows } from "./served-rows.ts";

/** The machine never says this. */
const CHECK = ["--expect", "THE DATABASE OF TOMORROW IS READY", "--answer-timeout", "300"];

/**
 * Cuts a real machine over whose database takes writes, with a check that the new machine cannot pass. Shows
 * that the source serves again, and that its standby is followed with the changes only. If `keep` is set, or
 * if it fails, the source's disks are kept.
 */
export function rollbackDemo(options: CutoverDemoOptions): Promise<RollbackReport> {
  const facts: RollbackReport = {
    ...{ ok: false, state: "unknown", outageSeconds: 0, states: [], sourceServes: false },
    ...{ rowsAcknowledged: 0, rowsFound: 0, rowsMissing: 0, seconds: 0, steps: [] },
  };
  return runCutoverDemo(facts, { name: "rollback", ...options, isProved: isRolledBack }, (database, site) =>
    cutOverAndBack(database, site, facts),
  );
}

async function cutOverAndBack(
  database: ProtectedDatabase,
  made: CutoverSite,
  facts: RollbackReport,
): Promise<void> {
  const { site, load, step } = database;
  const { plan } = await startStandby(database);
  const id = await prepareCutover(database, made, CHECK);
  try {
    const cutover = await carryOut(database, id);
    facts.states = stateTimes(cutover);
    facts.state = cutover.state;
    if (cutover.failure) facts.reason = cutover.failure.message;
    await step("wait for rows that the source acknowledges", () => untilMoreRows(load));
    facts.sourceServes = cutover.sourceServes === "yes";
    facts.nextRun = await step("wait for the next point, and the standby at it", () =>
      nextRun(plan, cutover.endedAt ?? "", site.disks),
    );
    await load.stop();
    Object.assign(facts, await servedRows(load));
  } finally {
    await leaveNothing(site.installation, id);
  }
}

/** Throws if the standby is not at the point of the first run after this time. */
async function nextRun(
  plan: MinutePlan,
  after: string,
  disks: readonly string[],
): Promise<RollbackReport["nextRun"]> {
  const runs = await plan.untilPoints(1, (run) => run.dueAt > after && isTracked(run));
  const { result } = runs.find(({ dueAt }) => dueAt > after) ?? {};
  if (result?.standby?.state !== "applied") throw new Error("the standby is not at the next point");
  const diskBytes = disks.reduce((sum, path) => sum + statSync(path).size, 0);
  return { bytesRead: result.bytesRead, diskBytes };
}
