import { LEDGER_END } from "../machines/disk/database-server.ts";
import { type CutoverReport, isCutOver, moveTimes, stateTimes } from "./cutover-report.ts";
import { type CutoverDemoOptions, type CutoverSite, runCutoverDemo } from "./cutover-site.ts";
import { staysFenced } from "./fenced-source.ts";
import { carryOut, leaveNothing, prepareCutover, rehearse, startStandby } from "./prepared-cutover.ts";
import { type ProtectedDatabase, untilMoreRows } from "./protected-database.ts";
import { servedRows } from "./served-rows.ts";

/**
 * Moves a real machine whose database takes writes from a client outside of it to libvirt of a target host,
 * compares the machine's rows with what the client knows, and cuts the source's power to see that it stays
 * fenced. If `keep` is set, or if it fails, the source's disks are kept; the new machine is always removed.
 */
export function cutoverDemo(options: CutoverDemoOptions): Promise<CutoverReport> {
  const facts: CutoverReport = {
    ...{
      ok: false,
      points: 0,
      outageSeconds: 0,
      states: [],
      proved: false,
      askedIsolated: false,
      sourceFenced: false,
    },
    ...{ parts: [], moveSeconds: 0, moveToBoot: 0 },
    ...{ rowsAcknowledged: 0, rowsFound: 0, rowsMissing: 0, seconds: 0, steps: [] },
  };
  return runCutoverDemo(facts, { name: "cutover", ...options, isProved: isCutOver }, (database, site) =>
    protectAndCutOver(database, site, facts),
  );
}

async function protectAndCutOver(
  database: ProtectedDatabase,
  made: CutoverSite,
  facts: CutoverReport,
): Promise<void> {
  const { site, load, step } = database;
  facts.points = (await startStandby(database)).points;
  await rehearse(database, made);
  const id = await prepareCutover(database, made, ["--expect", LEDGER_END, "--prove"]);
  try {
    const cutover = await carryOut(database, id);
    facts.states = stateTimes(cutover);
    Object.assign(facts, moveTimes(cutover.outageParts ?? [], facts.states));
    const asked = cutover.networkChecks?.map(({ beforeCommit }) => beforeCommit);
    const isAnswered = cutover.outageParts?.some(({ part }) => part === "isolated-answer") === true;
    facts.askedIsolated = isAnswered && asked?.every((when) => when === "yes") === true;
    facts.proved = cutover.proof?.outcome === "equal";
    if (cutover.forecast) facts.forecast = cutover.forecast;
    if (cutover.state !== "completed")
      throw new Error(`the cutover is ${cutover.state}: ${cutover.failure?.message}`);
    await step("wait for rows that the machine acknowledges", () => untilMoreRows(load));
    facts.sourceFenced = await step("cut the source's power, and start it again", () =>
      staysFenced(site.machine),
    );
    await load.stop();
    Object.assign(facts, await servedRows(load));
  } finally {
    await leaveNothing(site.installation, id);
  }
}
