import * as z from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import type { DrillState } from "#shared/protocol/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { reportDrill } from "../alarm/drill-failed.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { abandonDrill } from "../drill/end-drill.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({ drillId: DrillId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-drill",
  input: Input,
  build: (environment, runtime): Deps => ({
    ...buildCommanding(environment, runtime),
    ...buildAlarmChannels(environment),
    random: runtime.random,
  }),
  run,
});

type Deps = CommandDeps & ReportDeps;

/** Ends a drill whose workflow failed or was cancelled. Repeating it changes nothing. */
export async function run(
  { drillId, error }: z.output<typeof Input>,
  deps: Deps,
): Promise<{ state: DrillState; failure: Failure }> {
  const drill = await abandonDrill(drillId, error, deps);
  const { state } = drill;
  // The alarm of one that has a verdict may be why the workflow gives it up.
  if (state !== "cancelled") await reportDrill(drill, deps);
  return { state, failure: workflowFailure(error) };
}
