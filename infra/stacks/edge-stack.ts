import { Stack, type StackProps } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnPolicy, CfnRoleAlias, CfnTopicRule } from "aws-cdk-lib/aws-iot";
import type { Construct } from "constructs";
import type { FunctionName } from "#shared/environment.ts";
import { BOOT_IMAGES_PREFIX } from "#shared/protocol/boot-image.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { EVENTS_RULE } from "#shared/protocol/topics.ts";
import { HandlerFunction } from "../constructs/handler-function.ts";
import { EVIDENCE_PREFIX, IOT_POLICY, ROLE_ALIAS, SOURCES_PREFIX, WRITTEN_BY_SOURCES } from "../names.ts";
import { answerTasks, commandAgents, onExecutions, useTable } from "../statements.ts";
import type { ApiStack } from "./api-stack.ts";
import type { DataStack } from "./data-stack.ts";
import type { WorkflowStack } from "./workflow-stack.ts";

export interface EdgeStackProps extends StackProps {
  data: DataStack;
  workflow: WorkflowStack;
  api: ApiStack;
  bundles: Record<FunctionName, string>;
}

/** IoT's variable for the thing whose certificate made the connection. */
const CONNECTED_THING = "$" + "{iot:Connection.Thing.ThingName}";
/** The credentials provider's variable for the thing that asks for credentials. */
const CREDENTIALS_THING = "$" + "{credentials-iot:ThingName}";

/**
 * A revoked agent keeps its credentials until they expire, so this is the shortest lifetime that AWS allows.
 */
const CREDENTIALS_SECONDS = 900;

/** How agents reach the cloud, and their rights there: each may use only what has its own name. */
export class EdgeStack extends Stack {
  readonly #props: EdgeStackProps;

  constructor(scope: Construct, id: string, props: EdgeStackProps) {
    super(scope, id, props);
    this.#props = props;
    this.#ingest();
    this.#agentRole(
      "source",
      "Writes and reads the repository of the source server that asks; reads boot images",
      this.#sourceStatements(),
    );
    this.#agentRole(
      "target",
      "Leaves evidence of boot checks; asks for the data of its conversions, and for the leases of its machines",
      this.#targetStatements(),
    );
  }

  /** MQTT rights of a role, and the temporary AWS credentials that its certificates may obtain. */
  #agentRole(role: EnrollableRole, description: string, statements: PolicyStatement[]): void {
    const dataRole = new Role(this, `${role}-data`, {
      assumedBy: new ServicePrincipal("credentials.iot.amazonaws.com"),
      description,
    });
    for (const statement of statements) dataRole.addToPolicy(statement);
    const alias = new CfnRoleAlias(this, `${role}-alias`, {
      roleAlias: ROLE_ALIAS[role],
      roleArn: dataRole.roleArn,
      credentialDurationSeconds: CREDENTIALS_SECONDS,
    });
    const iot = (resource: string, resourceName: string): string =>
      this.formatArn({ service: "iot", resource, resourceName });
    new CfnPolicy(this, `${role}-policy`, {
      policyName: IOT_POLICY[role],
      policyDocument: {
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Action: "iot:Connect",
            Resource: iot("client", CONNECTED_THING),
            Condition: { Bool: { "iot:Connection.Thing.IsAttached": ["true"] } },
          },
          {
            Effect: "Allow",
            Action: "iot:Publish",
            Resource: iot("topic", `$aws/rules/${EVENTS_RULE}/causeway/agents/${CONNECTED_THING}/events`),
          },
          {
            Effect: "Allow",
            Action: "iot:Subscribe",
            Resource: iot("topicfilter", `causeway/agents/${CONNECTED_THING}/commands`),
          },
          {
            Effect: "Allow",
            Action: "iot:Receive",
            Resource: iot("topic", `causeway/agents/${CONNECTED_THING}/commands`),
          },
          { Effect: "Allow", Action: "iot:AssumeRoleWithCertificate", Resource: alias.attrRoleAliasArn },
        ],
      },
    });
  }

  #sourceStatements(): PolicyStatement[] {
    const { bucket, key } = this.#props.data;
    const own = `${SOURCES_PREFIX}${CREDENTIALS_THING}/*`;
    return [
      new PolicyStatement({ actions: ["s3:GetObject"], resources: [bucket.arnForObjects(own)] }),
      // It can only create: the bucket's policy refuses to overwrite. Only the control plane marks for
      // pruning.
      new PolicyStatement({
        actions: ["s3:PutObject"],
        resources: WRITTEN_BY_SOURCES.map((name) =>
          bucket.arnForObjects(`${SOURCES_PREFIX}${CREDENTIALS_THING}/${name}`),
        ),
      }),
      new PolicyStatement({
        actions: ["s3:GetObject"],
        resources: [bucket.arnForObjects(`${BOOT_IMAGES_PREFIX}*`)],
      }),
      new PolicyStatement({
        actions: ["s3:ListBucket"],
        resources: [bucket.bucketArn],
        conditions: { StringLike: { "s3:prefix": own } },
      }),
      new PolicyStatement({
        actions: ["kms:GenerateDataKey", "kms:Decrypt"],
        resources: [key.keyArn],
        conditions: { StringEquals: { "kms:EncryptionContext:sourceId": CREDENTIALS_THING } },
      }),
    ];
  }

  #targetStatements(): PolicyStatement[] {
    const { data, api } = this.#props;
    return [
      // It reads only to check whether evidence is already there after an interrupted upload.
      new PolicyStatement({
        actions: ["s3:GetObject", "s3:PutObject"],
        resources: [data.bucket.arnForObjects(`${EVIDENCE_PREFIX}${CREDENTIALS_THING}/*`)],
      }),
      new PolicyStatement({
        actions: ["execute-api:Invoke"],
        resources: ["data-access", "lease"].map((name) =>
          this.formatArn({
            service: "execute-api",
            resource: api.api.apiId,
            resourceName: `$default/POST/owners/*/${name}`,
          }),
        ),
      }),
    ];
  }

  #ingest(): void {
    const { data, workflow, bundles } = this.#props;
    const environment = { TABLE_NAME: data.table.tableName };
    const events = new HandlerFunction(this, "AgentEvents", {
      name: "ingest/agent-events",
      bundle: bundles["ingest/agent-events"],
      environment: {
        ...environment,
        COMMAND_KEY_ARN: data.commandKey.keyArn,
        CONVERSION_WORKFLOW_ARN: workflow.conversion.stateMachineArn,
        ...workflow.alarming.environment,
      },
      statements: [
        ...workflow.alarming.statements,
        useTable(data.table),
        answerTasks(...workflow.agentWorkflows),
        onExecutions(this, ["states:DescribeExecution"], ["conversion"]),
        ...commandAgents(this, data.commandKey),
      ],
    });
    const presence = new HandlerFunction(this, "AgentPresence", {
      name: "ingest/agent-presence",
      bundle: bundles["ingest/agent-presence"],
      environment,
      statements: [useTable(data.table)],
    });
    // No `*`: AWS does not document which value wins if a payload has a field with an alias's name.
    this.#rule(EVENTS_RULE, "SELECT event, topic(3) AS agentId FROM 'causeway/agents/+/events'", events);
    this.#rule("agent_presence", "SELECT * FROM '$aws/events/presence/+/+'", presence);
  }

  #rule(ruleName: string, sql: string, handler: HandlerFunction): void {
    const rule = new CfnTopicRule(this, `rule-${ruleName}`, {
      ruleName,
      topicRulePayload: {
        sql,
        awsIotSqlVersion: "2016-03-23",
        actions: [{ lambda: { functionArn: handler.function.functionArn } }],
      },
    });
    handler.function.addPermission(`invoked-by-${ruleName}`, {
      principal: new ServicePrincipal("iot.amazonaws.com"),
      sourceArn: rule.attrArn,
    });
  }
}
