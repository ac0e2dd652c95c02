import { Stack, type StackProps } from "aws-cdk-lib";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { FunctionName } from "#shared/environment.ts";
import { AslStateMachine } from "../constructs/asl-state-machine.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { commandAgents, useTable } from "../statements.ts";
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
    const task = (construct: string, name: TaskName): HandlerFunction =>
      new HandlerFunction<TaskName>(this, construct, {
        name,
        bundle: bundles[name],
        environment: { TABLE_NAME: data.table.tableName },
        statements: [useTable(data.table), commandAgents(this)],
      });

    this.hotConversion = new AslStateMachine(this, "HotConversion", {
      definition: "hot-conversion.asl.json",
      functions: {
        CheckPreflight: task("CheckPreflight", "tasks/check-preflight"),
        DispatchCommand: task("DispatchCommand", "tasks/dispatch-command"),
        RecordRecoveryPoint: task("RecordRecoveryPoint", "tasks/record-recovery-point"),
        CompleteConversion: task("CompleteConversion", "tasks/complete-conversion"),
        AbandonConversion: task("AbandonConversion", "tasks/abandon-conversion"),
      },
    }).stateMachine;
  }
}
