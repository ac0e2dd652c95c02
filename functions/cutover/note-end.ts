import type { CommandRecord } from "#shared/domain/command.ts";
import { type CutoverRecord, sourceOffOf } from "#shared/domain/cutover/cutover.ts";
import { removalOf } from "#shared/domain/cutover/removal.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { settleRemoval } from "./removal.ts";
import { settleSourceOff } from "./source-off.ts";

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
  const expected = withWords(end(record), commands);
  const isSettled = await settleCutoverAlarm(expected, deps).then(
    () => true,
    () => false,
  );
  await cutovers.modify(cutoverId, (one) => withWords(end(one), commands));
  await settleRemoval(cutoverId, deps);
  const ended = await settleSourceOff(cutoverId, deps);
  // What an agent has said since the commands were read.
  const isNews = ended.sourceOff !== expected.sourceOff || ended.removal?.state !== expected.removal?.state;
  if (!isSettled || isNews) await settleCutoverAlarm(ended, deps);
  return ended;
}

function withWords(cutover: CutoverRecord, commands: readonly CommandRecord[]): CutoverRecord {
  return {
    ...cutover,
    sourceOff: sourceOffOf(cutover, commands),
    removal: removalOf(cutover, commands),
  };
}
