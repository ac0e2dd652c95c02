import type { App } from "aws-cdk-lib";
import type { FunctionName } from "#shared/environment.ts";
import { acknowledgeFindings } from "./findings.ts";
import { ApiStack } from "./stacks/api-stack.ts";
import { DataStack } from "./stacks/data-stack.ts";
import { EdgeStack } from "./stacks/edge-stack.ts";
import { ProtectionStack } from "./stacks/protection-stack.ts";
import { WorkflowStack } from "./stacks/workflow-stack.ts";

/** Adds every stack of Causeway to an app. `bundles` holds each function's folder. */
export function causeway(app: App, bundles: Record<FunctionName, string>): void {
  const data = new DataStack(app, "CausewayData", { description: "Causeway: job state, repositories, keys" });
  const workflow = new WorkflowStack(app, "CausewayWorkflow", {
    data,
    bundles,
    description: "Causeway: workflows",
  });
  const protection = new ProtectionStack(app, "CausewayProtection", {
    data,
    workflow,
    bundles,
    description: "Causeway: protection plans",
  });
  const api = new ApiStack(app, "CausewayApi", {
    data,
    workflow,
    protection,
    bundles,
    description: "Causeway: HTTP API",
  });
  new EdgeStack(app, "CausewayEdge", { data, workflow, api, bundles, description: "Causeway: agents" });
  acknowledgeFindings(app);
}
