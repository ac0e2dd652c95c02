import { LEDGER_END, rowsOnConsole } from "../machines/disk/database-server.ts";
import { clockLead } from "../site/database-load.ts";
import { prepareLibvirtTarget, withLibvirt } from "./libvirt-target.ts";
import { Operator } from "./operator.ts";
import { MinutePlan, type ProtectedDatabase, runDatabaseDemo, untilMoreRows } from "./protected-database.ts";
import { completedRuns, isTracked } from "./protection-runs.ts";
import { isRecovered, RECOVER_POINTS, type RecoverReport } from "./recover-report.ts";
import { rowFacts } from "./row-facts.ts";
import { recoveryRunbook } from "./runbook.ts";

/**
 * Protects a real machine whose database takes writes from a client outside of it, cuts its power, and
 * follows the operators' runbook word for word: the machine's last recovery point is started by libvirt
 * of this computer. Its rows, read on its console, are compared with what the client knows. If `keep` is set,
 * or if it fails, the disks are kept; the recovered machine is always switched off and undefined.
 */
export function recoverDemo({ keep }: { keep: boolean }): Promise<RecoverReport> {
  const facts: RecoverReport = {
    ...{ ok: false, points: 0, rtoSeconds: 0, startSeconds: 0, pointAgeSeconds: 0 },
    ...{ rowsAcknowledged: 0, rowsFound: 0, rowsMissing: 0, rowsTooLate: 0, rowsLost: 0 },
    ...{ commands: [], seconds: 0, steps: [] },
  };
  return runDatabaseDemo(
    facts,
    { name: "recover", keep, isProved: isRecovered, prepareTarget: prepareLibvirtTarget },
    (database) => withLibvirt(database.step, () => protectAndRecover(database, facts, keep)),
  );
}

async function protectAndRecover(
  { site, load, port, step }: ProtectedDatabase,
  facts: RecoverReport,
  keep: boolean,
): Promise<void> {
  const { installation, machine } = site;
  const plan = await MinutePlan.start(site, (runs) => {
    facts.points = completedRuns(runs).length;
  });
  const name = `protect it every minute, until there are ${RECOVER_POINTS} points, the last one by the tracker`;
  await step(name, () => plan.untilPoints(RECOVER_POINTS, isTracked));
  const lead = await clockLead(port);
  // They are after the recovered point, and lost.
  await untilMoreRows(load);
  const lostPowerAt = await step("cut the source's power, permanently", async () => {
    await machine.cutPower();
    return Date.now();
  });
  await load.stop();
  const operator = new Operator(installation, step, facts, {
    ...{ SOURCE: site.sourceId, TARGET: site.targetId, TEXT: LEDGER_END, OPTIONS: "--software" },
  });
  try {
    const consoleText = await operator.follow(recoveryRunbook(), { keep });
    const recovery = await operator.recovery();
    const { frozen } = (await plan.runOf(recovery.pointId)).result;
    if (!frozen) throw new Error(`the point ${recovery.pointId} has no instant`);
    facts.rtoSeconds = recovery.rtoSeconds ?? 0;
    facts.startSeconds = recovery.answer?.seconds ?? 0;
    facts.pointAgeSeconds = Math.round((lostPowerAt + lead.most - Date.parse(frozen.from)) / 1000);
    const found = rowsOnConsole(consoleText);
    Object.assign(facts, rowFacts(load.rows, found, frozen, lead));
    facts.rowsLost = load.rows.filter(
      ({ id, acknowledgedAt }) => acknowledgedAt !== undefined && !found.has(id),
    ).length;
  } finally {
    await operator.leaveNothing();
  }
}
