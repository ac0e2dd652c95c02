import type { CommandRecord } from "#shared/domain/command.ts";
import { type CutoverRecord, sourceOffOf } from "#shared/domain/cutover/cutover.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";

/**
 * Notes whether the source has said that it shuts down. Call it after each change of the cutover's state and
 * of the command: the later of the two sees both. Repeating it changes nothing.
 */
export async function settleSourceOff(
  cutoverId: string,
  deps: Pick<ReportDeps, "store">,
): Promise<CutoverRecord> {
  const { cutovers } = deps.store;
  const { record, commands } = await cutovers.withCommands(cutoverId);
  const sourceOff = sourceOffOf(record, commands);
  if (sourceOff === record.sourceOff) return record;
  await cutovers.modify(cutoverId, (one) => ({ ...one, sourceOff }));
  // The agent can have taken it back since it was read.
  return settleSourceOff(cutoverId, deps);
}

/**
 * The source's agent has said how its `switch-off` ended, or has taken that back: once the cutover has ended,
 * its alarm follows. Repeating it is harmless.
 */
export async function reportSwitchOff({ ownerId }: CommandRecord, deps: ReportDeps): Promise<void> {
  const cutover = await settleSourceOff(ownerId, deps);
  if (cutover.sourceOff) await settleCutoverAlarm(cutover, deps);
}
