import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from "aws-cdk-lib";
import type { HttpApi } from "aws-cdk-lib/aws-apigatewayv2";
import { Mfa, UserPool, type UserPoolClient } from "aws-cdk-lib/aws-cognito";
import { ArnPrincipal, PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import type { FunctionName, Variables } from "#shared/environment.ts";
import { BOOT_IMAGES_PREFIX } from "#shared/protocol/boot-image.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { RouteTable } from "../constructs/route-table.ts";
import { IOT_POLICY, ROLE_ALIAS, SOURCES_PREFIX } from "../names.ts";
import {
  answerTasks,
  commandAgents,
  markPruned,
  onExecutions,
  useTable,
  useWebhookSecret,
} from "../statements.ts";
import type { DataStack } from "./data-stack.ts";
import type { ProtectionStack } from "./protection-stack.ts";
import type { WorkflowStack } from "./workflow-stack.ts";

export interface ApiStackProps extends StackProps {
  data: DataStack;
  workflow: WorkflowStack;
  protection: ProtectionStack;
  bundles: Record<FunctionName, string>;
}

/** The part for people and their programs: users, the HTTP API, and its functions. */
export class ApiStack extends Stack {
  readonly api: HttpApi;
  readonly #props: ApiStackProps;

  constructor(scope: Construct, id: string, props: ApiStackProps) {
    super(scope, id, props);
    this.#props = props;
    const { userPool, client } = this.#users();
    const table = { TABLE_NAME: props.data.table.tableName };
    const { api } = new RouteTable(this, "Routes", {
      userPool,
      userPoolClient: client,
      handlers: {
        "enrolment-tokens": this.#handler("EnrolmentTokens", "api/enrolment-tokens", table),
        "enrolment-requests": this.#handler("EnrolmentRequests", "api/enrolment-requests", table),
        enrolments: this.#enrolments(),
        agents: this.#handler("Agents", "api/agents", table, [
          new PolicyStatement({ actions: ["iot:UpdateCertificate"], resources: [this.#iot("cert", "*")] }),
        ]),
        conversions: this.#conversions(),
        plans: this.#plans(),
        drills: this.#drills(),
        recoveries: this.#recoveries(),
        cutovers: this.#cutovers(),
        leases: this.#handler("Leases", "api/leases", table),
        machines: this.#machines(),
        preflight: this.#handler("Preflight", "api/preflight", table),
        "boot-images": this.#bootImages(),
        "recovery-points": this.#handler("RecoveryPoints", "api/recovery-points", table),
        prune: this.#handler("Prune", "api/prune", { ...table, BUCKET_NAME: props.data.bucket.bucketName }, [
          markPruned(props.data.bucket),
        ]),
        collections: this.#handler(
          "Collections",
          "api/collections",
          { ...table, COLLECT_GARBAGE_WORKFLOW_ARN: props.workflow.collectGarbage.stateMachineArn },
          [
            new PolicyStatement({
              actions: ["states:StartExecution"],
              resources: [props.workflow.collectGarbage.stateMachineArn],
            }),
            onExecutions(this, ["states:DescribeExecution"], ["collect-garbage"]),
          ],
        ),
        checks: this.#handler(
          "Checks",
          "api/checks",
          { ...table, CHECK_REPOSITORIES_WORKFLOW_ARN: props.workflow.checkRepositories.stateMachineArn },
          [
            new PolicyStatement({
              actions: ["states:StartExecution"],
              resources: [props.workflow.checkRepositories.stateMachineArn],
            }),
          ],
        ),
        "data-access": this.#dataAccess(),
        audit: this.#handler("Audit", "api/audit", table),
        alarms: this.#alarms(),
        openapi: this.#handler("OpenApi", "api/openapi", {}, []),
      },
    });
    this.api = api;
    new CfnOutput(this, "ApiUrl", { value: api.apiEndpoint });
    new CfnOutput(this, "UserPoolId", { value: userPool.userPoolId });
    new CfnOutput(this, "UserPoolClientId", { value: client.userPoolClientId });
  }

  #handler<N extends FunctionName>(
    construct: string,
    name: N,
    environment: Variables<N>,
    statements: PolicyStatement[] = [],
  ): HandlerFunction {
    const { data, bundles } = this.#props;
    const needsTable = "TABLE_NAME" in environment ? [useTable(data.table)] : [];
    return new HandlerFunction<N>(this, construct, {
      name,
      bundle: bundles[name],
      environment,
      statements: [...needsTable, ...statements],
    });
  }

  #users(): { userPool: UserPool; client: UserPoolClient } {
    const userPool = new UserPool(this, "Users", {
      selfSignUpEnabled: false,
      signInAliases: { email: true },
      mfa: Mfa.REQUIRED,
      mfaSecondFactor: { otp: true, sms: false },
      passwordPolicy: {
        minLength: 14,
        requireDigits: true,
        requireLowercase: true,
        requireUppercase: true,
        requireSymbols: true,
      },
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const client = userPool.addClient("Client", {
      authFlows: { userSrp: true },
      generateSecret: false,
      accessTokenValidity: Duration.hours(8),
      preventUserExistenceErrors: true,
    });
    return { userPool, client };
  }

  #enrolments(): HandlerFunction {
    const { data } = this.#props;
    return this.#handler(
      "Enrolments",
      "api/enrolments",
      {
        TABLE_NAME: data.table.tableName,
        BUCKET_NAME: data.bucket.bucketName,
        KMS_KEY_ARN: data.key.keyArn,
        COMMAND_KEY_ARN: data.commandKey.keyArn,
        SOURCE_POLICY: IOT_POLICY.source,
        TARGET_POLICY: IOT_POLICY.target,
        SOURCE_ROLE_ALIAS: ROLE_ALIAS.source,
        TARGET_ROLE_ALIAS: ROLE_ALIAS.target,
      },
      [
        // These have no resource-level rights.
        new PolicyStatement({
          actions: ["iot:CreateCertificateFromCsr", "iot:AttachThingPrincipal", "iot:DescribeEndpoint"],
          resources: ["*"],
        }),
        new PolicyStatement({ actions: ["iot:CreateThing"], resources: [this.#iot("thing", "agt_*")] }),
        new PolicyStatement({
          actions: ["iot:AttachPolicy", "iot:UpdateCertificate"],
          resources: [this.#iot("cert", "*")],
        }),
        new PolicyStatement({ actions: ["kms:GetPublicKey"], resources: [data.commandKey.keyArn] }),
      ],
    );
  }

  #conversions(): HandlerFunction {
    const { data, workflow } = this.#props;
    return this.#handler(
      "Conversions",
      "api/conversions",
      {
        TABLE_NAME: data.table.tableName,
        COMMAND_KEY_ARN: data.commandKey.keyArn,
        CONVERSION_WORKFLOW_ARN: workflow.conversion.stateMachineArn,
        ...workflow.alarming.environment,
      },
      [
        ...workflow.alarming.statements,
        new PolicyStatement({
          actions: ["states:StartExecution"],
          resources: [workflow.conversion.stateMachineArn],
        }),
        onExecutions(this, ["states:DescribeExecution", "states:StopExecution"], ["conversion"]),
        answerTasks(...workflow.agentWorkflows),
        ...commandAgents(this, data.commandKey),
      ],
    );
  }

  #drills(): HandlerFunction {
    const { data, workflow } = this.#props;
    const { stateMachineArn } = workflow.drill;
    return this.#handler(
      "Drills",
      "api/drills",
      {
        TABLE_NAME: data.table.tableName,
        COMMAND_KEY_ARN: data.commandKey.keyArn,
        DRILL_WORKFLOW_ARN: stateMachineArn,
      },
      [
        new PolicyStatement({ actions: ["states:StartExecution"], resources: [stateMachineArn] }),
        onExecutions(this, ["states:DescribeExecution"], ["drill"]),
        answerTasks(...workflow.agentWorkflows),
        ...commandAgents(this, data.commandKey),
      ],
    );
  }

  #recoveries(): HandlerFunction {
    const { data, workflow } = this.#props;
    const { stateMachineArn } = workflow.recovery;
    return this.#handler(
      "Recoveries",
      "api/recoveries",
      {
        TABLE_NAME: data.table.tableName,
        COMMAND_KEY_ARN: data.commandKey.keyArn,
        RECOVERY_WORKFLOW_ARN: stateMachineArn,
      },
      [
        new PolicyStatement({ actions: ["states:StartExecution"], resources: [stateMachineArn] }),
        onExecutions(this, ["states:DescribeExecution"], ["recovery"]),
        answerTasks(...workflow.agentWorkflows),
        ...commandAgents(this, data.commandKey),
      ],
    );
  }

  #cutovers(): HandlerFunction {
    const { bundles, protection } = this.#props;
    return new HandlerFunction<"api/cutovers">(this, "Cutovers", {
      name: "api/cutovers",
      bundle: bundles["api/cutovers"],
      environment: protection.cutovers.variables,
      statements: protection.cutovers.statements,
    });
  }

  #machines(): HandlerFunction {
    const { data } = this.#props;
    return this.#handler(
      "Machines",
      "api/machines",
      { TABLE_NAME: data.table.tableName, COMMAND_KEY_ARN: data.commandKey.keyArn },
      commandAgents(this, data.commandKey),
    );
  }

  #plans(): HandlerFunction {
    const { bundles, data, protection, workflow } = this.#props;
    return new HandlerFunction<"api/plans">(this, "Plans", {
      name: "api/plans",
      bundle: bundles["api/plans"],
      environment: {
        ...protection.variables,
        ...workflow.alarming.environment,
        BUCKET_NAME: data.bucket.bucketName,
      },
      statements: [...protection.statements, ...workflow.alarming.statements, markPruned(data.bucket)],
    });
  }

  #alarms(): HandlerFunction {
    const { data, workflow } = this.#props;
    return this.#handler(
      "Alarms",
      "api/alarms",
      {
        TABLE_NAME: data.table.tableName,
        KMS_KEY_ARN: data.key.keyArn,
        ...workflow.alarming.environment,
      },
      [...workflow.alarming.statements, useWebhookSecret(data.key, "kms:Encrypt")],
    );
  }

  /** The function reads uploaded files, and assumes a role for uploads, narrowed to one image each time. */
  #bootImages(): HandlerFunction {
    const { data } = this.#props;
    const roleName = "causeway-boot-image-upload";
    const roleArn = this.formatArn({ service: "iam", region: "", resource: "role", resourceName: roleName });
    const files = data.bucket.arnForObjects(`${BOOT_IMAGES_PREFIX}*`);
    const handler = this.#handler(
      "BootImages",
      "api/boot-images",
      {
        TABLE_NAME: data.table.tableName,
        BUCKET_NAME: data.bucket.bucketName,
        BOOT_IMAGE_UPLOAD_ROLE_ARN: roleArn,
      },
      [
        new PolicyStatement({ actions: ["sts:AssumeRole"], resources: [roleArn] }),
        new PolicyStatement({ actions: ["s3:GetObject"], resources: [files] }),
      ],
    );
    const role = new Role(this, "BootImageUploadRole", {
      roleName,
      description: "Uploads boot images; always assumed with a session policy for one of them",
      assumedBy: new ArnPrincipal(handler.role.roleArn),
    });
    role.addToPolicy(new PolicyStatement({ actions: ["s3:PutObject"], resources: [files] }));
    return handler;
  }

  /** The function may assume one role, and narrows it to one source server each time. */
  #dataAccess(): HandlerFunction {
    const { data } = this.#props;
    const roleName = "causeway-data-access";
    const roleArn = this.formatArn({ service: "iam", region: "", resource: "role", resourceName: roleName });
    const handler = this.#handler(
      "DataAccess",
      "api/data-access",
      {
        TABLE_NAME: data.table.tableName,
        BUCKET_NAME: data.bucket.bucketName,
        KMS_KEY_ARN: data.key.keyArn,
        DATA_ACCESS_ROLE_ARN: roleArn,
      },
      [new PolicyStatement({ actions: ["sts:AssumeRole"], resources: [roleArn] })],
    );
    const role = new Role(this, "DataAccessRole", {
      roleName,
      description: "Reads repositories; always assumed with a session policy for one source server",
      assumedBy: new ArnPrincipal(handler.role.roleArn),
    });
    role.addToPolicy(
      new PolicyStatement({
        actions: ["s3:GetObject"],
        resources: [data.bucket.arnForObjects(`${SOURCES_PREFIX}*`)],
      }),
    );
    role.addToPolicy(
      new PolicyStatement({
        actions: ["s3:ListBucket"],
        resources: [data.bucket.bucketArn],
        conditions: { StringLike: { "s3:prefix": `${SOURCES_PREFIX}*` } },
      }),
    );
    role.addToPolicy(new PolicyStatement({ actions: ["kms:Decrypt"], resources: [data.key.keyArn] }));
    return handler;
  }

  #iot(resource: string, resourceName: string): string {
    return this.formatArn({ service: "iot", resource, resourceName });
  }
}
