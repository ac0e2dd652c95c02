import type { CommandRecord } from "#shared/domain/command.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { settleSaid } from "./settle-said.ts";

/**
 * The source's agent has said how its `switch-off` ended, or has taken that back: once the cutover has ended,
 * its alarm follows. Repeating it is harmless.
 */
export async function reportSwitchOff({ ownerId }: CommandRecord, deps: ReportDeps): Promise<void> {
  const cutover = await settleSaid(ownerId, deps);
  if (cutover.sourceOff) await settleCutoverAlarm(cutover, deps);
}
