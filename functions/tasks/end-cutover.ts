import * as z from "zod";
import type { CommandRecord } from "#shared/domain/command.ts";
import {
  type CutoverRecord,
  endedAfterCommit,
  endedCutover,
  isSourceAway,
} from "#shared/domain/cutover/cutover.ts";
import { atEnd } from "#shared/domain/whereabouts.ts";
import type { CutoverState } from "#shared/protocol/cutover.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { reportSourceAway } from "../alarm/source-away.ts";
import { buildCommanding } from "../conversion/build.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import { noteEnd } from "../cutover/note-end.ts";
import { awaitRemoval, removeLeftovers } from "../cutover/removal.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { PlanTimer } from "../ports.ts";
import { buildPlanTimer } from "../protection/build.ts";

export const Input = z.object({
  cutoverId: CutoverId,
  /** Of one that is rolled back: whether the source's agent has said that its services may run again. */
  sourceServes: z.enum(["yes", "unknown"]),
});

export const handler = taskHandler({
  name: "tasks/end-cutover",
  input: Input,
  build: (environment, runtime): Deps => ({
    ...buildCommanding(environment, runtime),
    ...buildAlarmChannels(environment),
    timer: buildPlanTimer(environment, runtime.clock),
    random: runtime.random,
  }),
  run,
});

type Deps = CommandDeps & ReportDeps & { timer: PlanTimer };

/**
 * Ends a cutover that was cancelled, rolled back or failed. Unless it had committed, the agents get the
 * commands to remove what it made, with its disks; the standby stays. If its source was restarted and has not
 * reported from its own system, an alarm says so. Repeating it changes nothing.
 */
export async function run(
  { cutoverId, sourceServes }: z.output<typeof Input>,
  deps: Deps,
): Promise<{ state: CutoverState }> {
  const { store, clock } = deps;
  const { record, commands } = await store.cutovers.withCommands(cutoverId);
  const isUndone = record.state === "rolling-back" || record.state === "cancelling";
  if (!endedAfterCommit(record)) {
    await removeLeftovers(record, commands, deps);
    await releaseSource(record, commands, deps);
  }
  const now = timestamp(clock);
  const { lastSeenAt = now } = await store.agents.get(record.sourceId);
  if (isUndone) await store.owners.learn(cutoverId, (there) => atEnd(there, lastSeenAt));
  const cutover = await noteEnd(cutoverId, (one) => endedCutover(one, sourceServes, now), deps);
  const { failure, sourceOff } = cutover;
  await store.audit.addOnce({
    at: cutover.endedAt ?? now,
    actor: "causeway",
    action: `cutover-${cutover.state}`,
    subject: cutoverId,
    outcome: "done",
    details: { failure: failure?.name, message: failure?.message, sourceServes, sourceOff },
  });
  if (cutover.state === "rolled-back") await reportSourceAway(cutoverId, deps);
  // Last: until then, its looks continue the undoing if this is interrupted.
  await awaitRemoval(cutover, deps);
  return { state: cutover.state };
}

/** An agent that never got a command has nothing to remove. A source that is away first proves what it is. */
async function releaseSource(
  cutover: CutoverRecord,
  commands: readonly CommandRecord[],
  deps: Deps,
): Promise<void> {
  const { id: ownerId, sourceId: agentId, requestedBy, restart } = cutover;
  const isUsed = commands.some((one) => one.agentId === agentId);
  if (!isUsed || !restart || isSourceAway(cutover)) return;
  const wanted = { kind: "release", label: "source", input: { ownerId } } as const;
  await order({ ...wanted, ownerId, agentId, round: 1, requestedBy }, commands, deps);
}
