import * as z from "zod";
import { begunCutover } from "#shared/domain/cutover/start.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildAlarming } from "../alarm/build.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { freshForecast } from "../cutover/forecast.ts";
import { nextLookBefore } from "../cutover/next-look.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { PlanTimer } from "../ports.ts";
import { buildPlanTimer } from "../protection/build.ts";

export const Input = z.object({ cutoverId: CutoverId });

export const handler = taskHandler({
  name: "tasks/start-cutover",
  input: Input,
  build: (environment, runtime): Deps => ({
    ...buildAlarming(environment, runtime),
    timer: buildPlanTimer(environment, runtime.clock),
  }),
  run,
});

interface Deps extends ReportDeps {
  timer: PlanTimer;
}

/** Limits are as of the beginning: they may have been edited since it was created. */
type Start =
  | { hasBegun: false }
  | {
      hasBegun: true;
      deadlineAt: string;
      quiesceSeconds: number;
      restartSeconds: number;
      answerSeconds: number;
    };

/** From the source's word that it restarts: servers check their hardware for minutes. */
const RESTART_SECONDS = 900;

/**
 * Begins the cutover if it still is to and the forecast fits what is left of the window, and was measured or
 * accepted by a person: then its timer is set to its next look, at the deadline at the latest. Otherwise it
 * waits, and an alarm says why if the forecast is the reason. Repeating it changes nothing. Throws
 * `CutoverStoppedError` if it was cancelled.
 */
export async function run({ cutoverId }: z.output<typeof Input>, deps: Deps): Promise<Start> {
  const { store, timer, clock } = deps;
  const forecast = await freshForecast(await store.cutovers.withCommands(cutoverId), deps);
  const cutover = await store.cutovers.modify(cutoverId, (one) => begunCutover(one, forecast, clock.now()));
  await settleCutoverAlarm(cutover, deps);
  const { deadlineAt, quiesceTimeoutSeconds: quiesceSeconds, answerTimeoutSeconds: answerSeconds } = cutover;
  if (deadlineAt === undefined) return { hasBegun: false };
  await timer.armCutover(cutoverId, nextLookBefore(deadlineAt, clock.now()));
  await store.audit.addOnce({
    at: cutover.states.find(({ name }) => name === "pre-sync")?.at ?? cutover.createdAt,
    actor: cutover.go?.by ?? "causeway",
    action: "cutover-begun",
    subject: cutoverId,
    outcome: "done",
    details: { deadlineAt, forecast: cutover.forecast },
  });
  return { hasBegun: true, deadlineAt, quiesceSeconds, restartSeconds: RESTART_SECONDS, answerSeconds };
}
