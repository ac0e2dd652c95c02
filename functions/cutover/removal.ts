import type { CommandRecord } from "#shared/domain/command.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { nextRemovalLook, removalCommands } from "#shared/domain/cutover/removal.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { alarmNamesRemoval, settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import type { Clock, PlanTimer } from "../ports.ts";
import { settleSaid } from "./settle-said.ts";

interface TimerDeps {
  timer: PlanTimer;
  clock: Clock;
}

/**
 * Has the target host remove what the cutover made there. No workflow waits for that: a host that is away
 * does it when it connects. Repeating it asks again only for what has failed.
 */
export async function removeLeftovers(
  cutover: CutoverRecord,
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  for (const wanted of removalCommands(cutover, commands)) await order(wanted, commands, deps);
}

/**
 * The target host has said how its `remove-machine` ended: once the cutover has ended, its alarm follows. One
 * that a person has cleared is raised again only by a failure. Repeating it is harmless.
 */
export async function reportRemoval({ ownerId }: CommandRecord, deps: ReportDeps): Promise<void> {
  if (ownerKind(ownerId) !== "cutover") return;
  const cutover = await settleSaid(ownerId, deps);
  if (cutover.removal?.state === "failed" || (await alarmNamesRemoval(ownerId, deps)))
    await settleCutoverAlarm(cutover, deps);
}

/** Asks again for what could not be removed, unless that was tried for a day. Repeating it is harmless. */
export async function lookAtRemoval(cutoverId: string, deps: CommandDeps & TimerDeps): Promise<void> {
  const cutover = await settleSaid(cutoverId, deps);
  // First: the rest can be interrupted.
  const isAwaited = await awaitRemoval(cutover, deps);
  if (!isAwaited || cutover.removal?.state !== "failed") return;
  const { commands } = await deps.store.cutovers.withCommands(cutoverId);
  await removeLeftovers(cutover, commands, deps);
}

/** Sets the timer to the next look, or removes it. Returns whether there is another look. */
export async function awaitRemoval(
  { id, removal, endedAt }: CutoverRecord,
  { timer, clock }: TimerDeps,
): Promise<boolean> {
  const isLeft = removal !== undefined && removal.state !== "done" && endedAt !== undefined;
  const next = isLeft ? nextRemovalLook(Date.parse(endedAt), clock.now()) : undefined;
  if (next === undefined) await timer.disarmCutover(id);
  else await timer.armCutover(id, next);
  return next !== undefined;
}
