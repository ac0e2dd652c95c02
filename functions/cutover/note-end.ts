import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { isSameSaid, saidOf } from "#shared/domain/cutover/said.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { settleSaid } from "./settle-said.ts";

/**
 * Ends a cutover by `end`, which may be repeated and has no effect on one that has ended. A client that sees
 * it ended finds what its agents have said, and its alarm. Returns it. Rejects if the alarm could not be
 * sent everywhere: then it has ended all the same.
 */
export async function noteEnd(
  cutoverId: string,
  end: (cutover: CutoverRecord) => CutoverRecord,
  deps: ReportDeps,
): Promise<CutoverRecord> {
  const { cutovers } = deps.store;
  const { record, commands } = await cutovers.withCommands(cutoverId);
  const ending = (one: CutoverRecord) => {
    const ended = end(one);
    return { ...ended, ...saidOf(ended, commands) };
  };
  const expected = ending(record);
  const isSettled = await settleCutoverAlarm(expected, deps).then(
    () => true,
    () => false,
  );
  await cutovers.modify(cutoverId, ending);
  const ended = await settleSaid(cutoverId, deps);
  // An agent can have said more since the commands were read.
  if (!isSettled || !isSameSaid(ended, expected)) await settleCutoverAlarm(ended, deps);
  return ended;
}
