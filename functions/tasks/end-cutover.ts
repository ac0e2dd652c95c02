import * as z from "zod";
import { endedCutover } from "#shared/domain/cutover/cutover.ts";
import type { CutoverState } from "#shared/protocol/cutover.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { buildCommanding } from "../conversion/build.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import { settleSourceOff } from "../cutover/source-off.ts";
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
 * Ends a cutover that was cancelled, rolled back or failed. The target host gets the command to remove
 * what it made, with its disks, unless it failed; the standby stays. Repeating it changes nothing.
 */
export async function run(
  { cutoverId, sourceServes }: z.output<typeof Input>,
  deps: Deps,
): Promise<{ state: CutoverState }> {
  const { store, timer, clock } = deps;
  const { record, commands } = await store.cutovers.withCommands(cutoverId);
  const { targetId: agentId, requestedBy } = record;
  // A target host that never got a command has nothing to remove.
  const isUndone = record.state === "rolling-back" || record.state === "cancelling";
  if (isUndone && commands.some((one) => one.agentId === agentId)) {
    const input = { ownerId: cutoverId, disks: true };
    await order(
      { ownerId: cutoverId, agentId, kind: "remove-machine", round: 1, input, requestedBy },
      commands,
      deps,
    );
  }
  await timer.disarmCutover(cutoverId);
  const now = timestamp(clock);
  await store.cutovers.modify(cutoverId, (one) => endedCutover(one, sourceServes, now));
  const cutover = await settleSourceOff(cutoverId, deps);
  const { failure, sourceOff } = cutover;
  await store.audit.addOnce({
    at: cutover.endedAt ?? now,
    actor: "causeway",
    action: `cutover-${cutover.state}`,
    subject: cutoverId,
    outcome: "done",
    details: { failure: failure?.name, message: failure?.message, sourceServes, sourceOff },
  });
  await settleCutoverAlarm(cutover, deps);
  return { state: cutover.state };
}
