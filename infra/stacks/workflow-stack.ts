import { ArnFormat, Stack, type StackProps } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { FunctionName, Variables } from "#shared/environment.ts";
import { type WorkflowName, workflowNames } from "#shared/protocol/conversion-types.ts";
import { AslStateMachine } from "../constructs/asl-state-machine.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { stateMachineName } from "../names.ts";
import { answerTasks, commandAgents, useTable } from "../statements.ts";
import type { DataStack } from "./data-stack.ts";

type TaskName = Extract<FunctionName, `tasks/${string}`>;

export interface WorkflowStackProps extends StackProps {
  data: DataStack;
  bundles: Record<FunctionName, string>;
}

/** The workflows and the functions that their steps call. */
export class WorkflowStack extends Stack {
  readonly machines: Readonly<Record<WorkflowName, StateMachine>>;

  constructor(scope: Construct, id: string, { data, bundles, ...props }: WorkflowStackProps) {
    super(scope, id, props);
    const table = { TABLE_NAME: data.table.tableName };
    const task = <N extends TaskName>(
      construct: string,
      name: N,
      environment: Variables<N>,
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
      ...workflowNames.map((workflow) =>
        this.formatArn({
          service: "states",
          resource: "stateMachine",
          resourceName: stateMachineName(workflow),
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
    this.machines = Object.fromEntries(
      workflowNames.map((workflow) => [
        workflow,
        new AslStateMachine(this, inPascalCase(workflow), {
          name: stateMachineName(workflow),
          definition: `${workflow}.asl.json`,
          functions,
        }).stateMachine,
      ]),
    ) as Record<WorkflowName, StateMachine>;
  }

  get workflowArns(): string[] {
    return Object.values(this.machines).map(({ stateMachineArn }) => stateMachineArn);
  }

  /** The variable `WORKFLOW_ARNS` of a function in `stack`. */
  workflowArnsFor(stack: Stack): string {
    return stack.toJsonString(
      Object.fromEntries(
        Object.entries(this.machines).map(([name, { stateMachineArn }]) => [name, stateMachineArn]),
      ),
    );
  }
}

function inPascalCase(name: string): string {
  return name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
}
