import { ArnFormat, Stack, type StackProps } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { FunctionName } from "#shared/environment.ts";
import { AslStateMachine } from "../constructs/asl-state-machine.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { HOT_CONVERSION } from "../names.ts";
import { answerTasks, commandAgents, useTable } from "../statements.ts";
import type { DataStack } from "./data-stack.ts";

type TaskName = Extract<FunctionName, `tasks/${string}`>;

export interface WorkflowStackProps extends StackProps {
  data: DataStack;
  bundles: Record<FunctionName, string>;
}

/** The workflows and the functions that their steps call. */
export class WorkflowStack extends Stack {
  readonly hotConversion: IStateMachine;

  constructor(scope: Construct, id: string, { data, bundles, ...props }: WorkflowStackProps) {
    super(scope, id, props);
    const task = (construct: string, name: TaskName, ...statements: PolicyStatement[]): HandlerFunction =>
      new HandlerFunction<TaskName>(this, construct, {
        name,
        bundle: bundles[name],
        environment: { TABLE_NAME: data.table.tableName },
        statements: [useTable(data.table), ...statements],
      });
    // By name: the machine depends on its functions, so they cannot depend on the machine.
    const answer = answerTasks(
      this.formatArn({
        service: "states",
        resource: "stateMachine",
        resourceName: HOT_CONVERSION,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
    );

    this.hotConversion = new AslStateMachine(this, "HotConversion", {
      name: HOT_CONVERSION,
      definition: "hot-conversion.asl.json",
      functions: {
        CheckPreflight: task("CheckPreflight", "tasks/check-preflight"),
        DispatchCommand: task("DispatchCommand", "tasks/dispatch-command", commandAgents(this), answer),
        RecordRecoveryPoint: task("RecordRecoveryPoint", "tasks/record-recovery-point"),
        CompleteConversion: task("CompleteConversion", "tasks/complete-conversion"),
        AbandonConversion: task("AbandonConversion", "tasks/abandon-conversion", commandAgents(this), answer),
      },
    }).stateMachine;
  }
}
