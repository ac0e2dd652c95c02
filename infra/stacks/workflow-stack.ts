import { ArnFormat, Stack, type StackProps } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { Environment, FunctionName } from "#shared/environment.ts";
import type { ConversionType } from "#shared/protocol/resources.ts";
import { AslStateMachine } from "../constructs/asl-state-machine.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { WORKFLOW } from "../names.ts";
import { answerTasks, commandAgents, useTable } from "../statements.ts";
import type { DataStack } from "./data-stack.ts";

type TaskName = Extract<FunctionName, `tasks/${string}`>;

export interface WorkflowStackProps extends StackProps {
  data: DataStack;
  bundles: Record<FunctionName, string>;
}

/** The workflows and the functions that their steps call. */
export class WorkflowStack extends Stack {
  /** By type of conversion. */
  readonly conversions: Readonly<Record<ConversionType, IStateMachine>>;

  constructor(scope: Construct, id: string, { data, bundles, ...props }: WorkflowStackProps) {
    super(scope, id, props);
    const table = { TABLE_NAME: data.table.tableName };
    const task = <N extends TaskName>(
      construct: string,
      name: N,
      environment: Environment<N>,
      ...statements: PolicyStatement[]
    ): HandlerFunction =>
      new HandlerFunction<N>(this, construct, {
        name,
        bundle: bundles[name],
        environment,
        statements: [useTable(data.table), ...statements],
      });
    // By name: the machines depend on their functions, so these cannot depend on the machines.
    const answer = answerTasks(
      ...[...new Set(Object.values(WORKFLOW))].map((resourceName) =>
        this.formatArn({
          service: "states",
          resource: "stateMachine",
          resourceName,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ),
    );
    const commanding = { ...table, COMMAND_KEY_ARN: data.commandKey.keyArn };
    const command = [...commandAgents(this, data.commandKey), answer];
    const functions = {
      CheckPreflight: task("CheckPreflight", "tasks/check-preflight", table),
      DispatchCommand: task("DispatchCommand", "tasks/dispatch-command", commanding, ...command),
      RecordRecoveryPoint: task("RecordRecoveryPoint", "tasks/record-recovery-point", table),
      CompleteConversion: task("CompleteConversion", "tasks/complete-conversion", table),
      AbandonConversion: task("AbandonConversion", "tasks/abandon-conversion", commanding, ...command),
    };
    const workflow = (id: string, type: "hot" | "remote-cold"): IStateMachine =>
      new AslStateMachine(this, id, {
        name: WORKFLOW[type],
        definition: `${type}-conversion.asl.json`,
        functions,
      }).stateMachine;
    const hot = workflow("HotConversion", "hot");
    this.conversions = {
      hot,
      "remote-cold": workflow("RemoteColdConversion", "remote-cold"),
      "manual-cold": hot,
    };
  }

  get conversionArns(): string[] {
    return [...new Set(Object.values(this.conversions))].map(({ stateMachineArn }) => stateMachineArn);
  }
}
