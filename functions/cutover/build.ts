import { SFNClient } from "@aws-sdk/client-sfn";
import type { Environment } from "#shared/environment.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { buildProtection } from "../protection/build.ts";
import type { CutoverDeps } from "./deps.ts";

/** For each function that begins or ends cutovers. */
export function buildCutovers(environment: Environment<"api/cutovers">, runtime: Runtime): CutoverDeps {
  const sfn = new SFNClient();
  return {
    ...buildProtection(environment, runtime),
    ...buildAlarmChannels(environment, sfn),
    cutovers: new SfnWorkflow(sfn, environment.CUTOVER_WORKFLOW_ARN),
  };
}
