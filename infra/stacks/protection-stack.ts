import { Duration, Stack, type StackProps } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import type { FunctionName, Variables } from "#shared/environment.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import {
  DRILL_PLAN_FUNCTION,
  RUN_PLAN_FUNCTION,
  WAKE_CUTOVER_FUNCTION,
  WATCH_PLAN_FUNCTION,
} from "../names.ts";
import { answerTasks, commandAgents, onExecutions, useTable } from "../statements.ts";
import type { DataStack } from "./data-stack.ts";
import type { WorkflowStack } from "./workflow-stack.ts";

export interface ProtectionStackProps extends StackProps {
  data: DataStack;
  workflow: WorkflowStack;
  bundles: Record<FunctionName, string>;
}

/**
 * The functions that schedules of plans and cutovers call: one begins a run, one looks after a plan that is
 * late, one begins a drill, and one wakes a cutover.
 */
export class ProtectionStack extends Stack {
  /** The variables of each function that begins runs. */
  readonly variables: Variables<"schedule/run-plan">;
  /** Its rights. */
  readonly statements: PolicyStatement[];
  /** The variables and rights of each function that begins and ends cutovers. */
  readonly cutovers: { variables: Variables<"schedule/wake-cutover">; statements: PolicyStatement[] };

  constructor(scope: Construct, id: string, { data, workflow, bundles, ...props }: ProtectionStackProps) {
    super(scope, id, props);
    this.variables = {
      TABLE_NAME: data.table.tableName,
      COMMAND_KEY_ARN: data.commandKey.keyArn,
      PROTECTION_WORKFLOW_ARN: workflow.protectionRun.stateMachineArn,
      ...workflow.planSchedules.environment,
    };
    this.statements = [
      useTable(data.table),
      ...commandAgents(this, data.commandKey),
      answerTasks(...workflow.agentWorkflows),
      new PolicyStatement({
        actions: ["states:StartExecution"],
        resources: [workflow.protectionRun.stateMachineArn],
      }),
      onExecutions(this, ["states:DescribeExecution"], ["protection-run"]),
      ...workflow.planSchedules.statements,
    ];
    this.cutovers = this.#cutovers(workflow);
    new HandlerFunction<"schedule/wake-cutover">(this, "WakeCutover", {
      name: "schedule/wake-cutover",
      functionName: WAKE_CUTOVER_FUNCTION,
      bundle: bundles["schedule/wake-cutover"],
      environment: this.cutovers.variables,
      statements: this.cutovers.statements,
    });
    new HandlerFunction<"schedule/run-plan">(this, "RunPlan", {
      name: "schedule/run-plan",
      functionName: RUN_PLAN_FUNCTION,
      bundle: bundles["schedule/run-plan"],
      environment: this.variables,
      statements: this.statements,
    });
    new HandlerFunction<"schedule/watch-plan">(this, "WatchPlan", {
      name: "schedule/watch-plan",
      functionName: WATCH_PLAN_FUNCTION,
      bundle: bundles["schedule/watch-plan"],
      environment: { ...this.variables, ...workflow.alarming.environment },
      statements: [...this.statements, ...workflow.alarming.statements],
      timeout: Duration.minutes(1),
    });
    new HandlerFunction<"schedule/drill-plan">(this, "DrillPlan", {
      name: "schedule/drill-plan",
      functionName: DRILL_PLAN_FUNCTION,
      bundle: bundles["schedule/drill-plan"],
      environment: {
        TABLE_NAME: data.table.tableName,
        DRILL_WORKFLOW_ARN: workflow.drill.stateMachineArn,
        ...workflow.planSchedules.environment,
        ...workflow.alarming.environment,
      },
      statements: [
        useTable(data.table),
        new PolicyStatement({
          actions: ["states:StartExecution"],
          resources: [workflow.drill.stateMachineArn],
        }),
        onExecutions(this, ["states:DescribeExecution"], ["drill"]),
        ...workflow.planSchedules.statements,
        ...workflow.alarming.statements,
      ],
    });
  }

  #cutovers({ cutover: { stateMachineArn }, alarming }: WorkflowStack): ProtectionStack["cutovers"] {
    return {
      variables: { ...this.variables, ...alarming.environment, CUTOVER_WORKFLOW_ARN: stateMachineArn },
      statements: [
        ...this.statements,
        ...alarming.statements,
        new PolicyStatement({ actions: ["states:StartExecution"], resources: [stateMachineArn] }),
        onExecutions(this, ["states:DescribeExecution"], ["synchronized-cutover"]),
      ],
    };
  }
}
