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
   * The functions that definitions call, by the placeholder's name without `FunctionArn`. Substitutions and
   * rights derive from those that this one calls.
   */
  functions: Readonly<Record<string, HandlerFunction>>;
  /** Values for the definition's other placeholders. */
  substitutions?: Readonly<Record<string, string>>;
  /** The machine's rights besides calling its functions. */
  statements?: readonly PolicyStatement[];
}

/**
 * A workflow whose definition is the unchanged ASL file. This only adds the ARNs and the rights to invoke
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
    const functions = Object.entries(props.functions)
      .map(([name, { function: target }]) => [`${name}FunctionArn`, target.functionArn] as const)
      .filter(([placeholder]) => definition.includes(`\${${placeholder}}`));
    this.stateMachine = new StateMachine(this, "StateMachine", {
      stateMachineName: props.name,
      definitionBody: DefinitionBody.fromString(definition),
      definitionSubstitutions: { ...Object.fromEntries(functions), ...props.substitutions },
      logs: {
        destination: new LogGroup(this, "Log", {
          retention: RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        level: LogLevel.ALL,
      },
      tracingEnabled: true,
    });
    const invoke = new PolicyStatement({
      actions: ["lambda:InvokeFunction"],
      resources: functions.map(([, arn]) => arn),
    });
    for (const statement of [invoke, ...(props.statements ?? [])])
      this.stateMachine.addToRolePolicy(statement);
  }
}
