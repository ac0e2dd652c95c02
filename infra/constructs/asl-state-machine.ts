import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RemovalPolicy } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { DefinitionBody, LogLevel, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import type { HandlerFunction } from "./handler-function.ts";

export interface AslStateMachineProps {
  name: string;
  /** A file under `statemachines/`. */
  definition: string;
  /**
   * The functions that the definition calls, by the placeholder's name without `FunctionArn`: substitutions
   * and rights derive from this.
   */
  functions: Record<string, HandlerFunction>;
}

/**
 * A workflow whose definition is the ASL file as it stands; this adds only the ARNs and the rights to invoke
 * them.
 */
export class AslStateMachine extends Construct {
  readonly stateMachine: StateMachine;

  constructor(scope: Construct, id: string, props: AslStateMachineProps) {
    super(scope, id);
    const definition = readFileSync(
      join(import.meta.dirname, "../../statemachines", props.definition),
      "utf8",
    );
    this.stateMachine = new StateMachine(this, "StateMachine", {
      stateMachineName: props.name,
      definitionBody: DefinitionBody.fromString(definition),
      definitionSubstitutions: Object.fromEntries(
        Object.entries(props.functions).map(([name, { function: target }]) => [
          `${name}FunctionArn`,
          target.functionArn,
        ]),
      ),
      logs: {
        destination: new LogGroup(this, "Log", {
          retention: RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        level: LogLevel.ALL,
      },
      tracingEnabled: true,
    });
    this.stateMachine.addToRolePolicy(
      new PolicyStatement({
        actions: ["lambda:InvokeFunction"],
        resources: Object.values(props.functions).map(({ function: target }) => target.functionArn),
      }),
    );
  }
}
