import * as z from "zod";
import { completedCutover } from "#shared/domain/cutover/cutover.ts";
import { pausedPlan } from "#shared/domain/protection/plan.ts";
import { DefinedMachine, MachineAnswer } from "#shared/protocol/defined-machine.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildAlarming } from "../alarm/build.ts";
import { timestamp } from "../conversion/deps.ts";
import { noteEnd } from "../cutover/note-end.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildPlanTimer } from "../protection/build.ts";
import { setSchedules } from "../protection/schedules.ts";
import { type SettleDeps, settleAlarm } from "../protection/settle-alarm.ts";

export const Input = z.object({
  cutoverId: CutoverId,
  machine: DefinedMachine,
  answer: MachineAnswer,
});

export const handler = taskHandler({
  name: "tasks/finish-cutover",
  input: Input,
  build: (environment, runtime): SettleDeps => ({
    ...buildAlarming(environment, runtime),
    timer: buildPlanTimer(environment, runtime.clock),
    log: runtime.log,
  }),
  run,
});

/**
 * Completes a cutover whose machine answers in its source's place, with the outage that this took, and pauses
 * the plan of the source, which serves no more. Repeating it changes nothing.
 */
export async function run(
  { cutoverId, ...up }: z.output<typeof Input>,
  deps: SettleDeps,
): Promise<{ state: "completed" }> {
  const { store, timer, clock } = deps;
  const now = timestamp(clock);
  const { planId } = await store.cutovers.get(cutoverId);
  const plan = await store.plans.find(planId);
  if (plan && plan.state !== "deleted") {
    await store.plans.modify(planId, pausedPlan);
    await setSchedules(planId, deps);
    await settleAlarm(planId, deps);
  }
  const cutover = await noteEnd(cutoverId, (one) => completedCutover(one, up, now), deps);
  // Until it has ended, its looks notice if its workflow is stopped.
  await timer.disarmCutover(cutoverId);
  await store.audit.addOnce({
    at: cutover.endedAt ?? now,
    actor: "causeway",
    action: "cutover-completed",
    subject: cutoverId,
    outcome: "done",
    details: {
      machine: up.machine.name,
      sourceOff: cutover.sourceOff,
      pointId: cutover.final?.pointId,
      outageSeconds: cutover.outageSeconds,
    },
  });
  return { state: "completed" };
}
