import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { type PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import {
  Architecture,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
} from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { FunctionName, Variables } from "#shared/environment.ts";

export interface HandlerFunctionProps<N extends FunctionName> {
  /** Its file under `functions/`, without the extension. */
  name: N;
  /** If the function must be known before it exists. */
  functionName?: string;
  /** Folder with the bundled `index.mjs`. */
  bundle: string;
  /** Exactly the variables that the handler validates at start. A missing one does not compile. */
  environment: Variables<N>;
  /** Its rights, in addition to writing its own log. */
  statements?: PolicyStatement[];
  timeout?: Duration;
  memoryMiB?: number;
  /** A fixed name of its role, for policies that name it. */
  roleName?: string;
}

/** One Lambda function with its own role and log group. It has only the rights that are listed here. */
export class HandlerFunction<N extends FunctionName = never> extends Construct {
  readonly function: LambdaFunction;
  readonly role: Role;

  constructor(scope: Construct, id: string, props: HandlerFunctionProps<N>) {
    super(scope, id);
    this.role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      description: `Runs functions/${props.name}`,
      ...(props.roleName === undefined ? {} : { roleName: props.roleName }),
    });
    const logGroup = new LogGroup(this, "Log", {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    logGroup.grantWrite(this.role);
    for (const statement of props.statements ?? []) this.role.addToPolicy(statement);
    this.function = new LambdaFunction(this, "Function", {
      description: `functions/${props.name}`,
      ...(props.functionName === undefined ? {} : { functionName: props.functionName }),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: Code.fromAsset(props.bundle),
      handler: "index.handler",
      environment: props.environment,
      memorySize: props.memoryMiB ?? 512,
      timeout: props.timeout ?? Duration.seconds(20),
      role: this.role,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
    });
  }
}
