/** An ordinary cutover for tests, which waits for 22:00 of the first two days of 2030. */
import type { CutoverRecord } from "../cutover/cutover.ts";
import { aRecovery } from "./records.ts";

const AT = "2030-01-01T00:00:00.000Z";

export function aCutover(change: Partial<CutoverRecord> = {}): CutoverRecord {
  const { pointId: _, ...planned } = aRecovery().planned;
  const window = {
    firstDay: "2030-01-01",
    lastDay: "2030-01-02",
    from: "22:00",
    to: "23:00",
    timeZone: "UTC",
  };
  return {
    ...{ id: "cut_1", sourceId: "agt_source", targetId: "agt_target", planId: "plan_1", windows: [window] },
    ...{
      mode: "hold",
      needsApproval: false,
      quiesce: "hot",
      switchSourceOff: false,
      marginSeconds: 120,
      quiesceTimeoutSeconds: 300,
    },
    ...{ answerTimeoutSeconds: 900, firmware: "bios", disks: ["vda"], planned, state: "waiting" },
    states: [
      { name: "baseline", at: AT },
      { name: "waiting", at: AT },
    ],
    ...{
      changedBy: ["ada"],
      requestedBy: "ada",
      runs: [],
      forecast: null,
      createdAt: AT,
      executions: 1,
      edition: 1,
      version: 0,
      ...change,
    },
  };
}
