/** The policy statements for the functions' rights. */
import { ArnFormat, type Stack } from "aws-cdk-lib";
import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IBucket } from "aws-cdk-lib/aws-s3";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { WorkflowName } from "#shared/protocol/conversion-types.ts";
import { COLLECTED, COLLECTIONS_PREFIX, SOURCES_PREFIX, stateMachineName } from "./names.ts";

/**
 * Reads and writes single items, and queries. No scans and no deletes: the table keeps everything and expires
 * items itself.
 */
export function useTable(table: ITable): PolicyStatement {
  return new PolicyStatement({
    actions: ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"],
    resources: [table.tableArn, `${table.tableArn}/index/gsi1`],
  });
}

/** Marks recovery points for pruning. It can write nothing else in the bucket, and read nothing. */
export function markPruned(bucket: IBucket): PolicyStatement {
  return new PolicyStatement({
    actions: ["s3:PutObject"],
    resources: [bucket.arnForObjects(`${SOURCES_PREFIX}*/pruned/*`)],
  });
}

/**
 * Reads recovery points and packs of every source, with their keys, and deletes points and packs. The
 * bucket's policy lets no other role delete.
 */
export function workAsCollector(bucket: IBucket, key: IKey): PolicyStatement[] {
  const objects = (...keys: string[]) => keys.map((each) => bucket.arnForObjects(each));
  const kept = `${COLLECTIONS_PREFIX}*`;
  return [
    // Without a prefix, because S3 tells only a caller with this right that an object does not exist.
    new PolicyStatement({ actions: ["s3:ListBucket"], resources: [bucket.bucketArn] }),
    new PolicyStatement({
      actions: ["s3:GetObject"],
      resources: objects(`${SOURCES_PREFIX}*/key.json`, ...COLLECTED, kept),
    }),
    new PolicyStatement({ actions: ["s3:PutObject"], resources: objects(kept) }),
    new PolicyStatement({ actions: ["s3:DeleteObject"], resources: objects(...COLLECTED) }),
    new PolicyStatement({ actions: ["kms:Decrypt"], resources: [key.keyArn] }),
  ];
}

/** Sends commands to agents, signed so that they obey. */
export function commandAgents(stack: Stack, commandKey: IKey): PolicyStatement[] {
  const topics = stack.formatArn({
    service: "iot",
    resource: "topic",
    resourceName: "causeway/agents/*/commands",
  });
  return [
    new PolicyStatement({ actions: ["iot:Publish"], resources: [topics] }),
    new PolicyStatement({
      actions: ["kms:Sign"],
      resources: [commandKey.keyArn],
      conditions: { StringEquals: { "kms:SigningAlgorithm": "ECDSA_SHA_256" } },
    }),
  ];
}

/** Publishes notices of alarms, and starts sending them to the webhook. */
export function raiseAlarms(topic: ITopic, webhookWorkflowArn: string): PolicyStatement[] {
  return [
    new PolicyStatement({ actions: ["sns:Publish"], resources: [topic.topicArn] }),
    new PolicyStatement({ actions: ["states:StartExecution"], resources: [webhookWorkflowArn] }),
  ];
}

/** Encrypts or decrypts the webhook's secret, and nothing else that the key encrypts. */
export function useWebhookSecret(key: IKey, action: "kms:Encrypt" | "kms:Decrypt"): PolicyStatement {
  return new PolicyStatement({
    actions: [action],
    resources: [key.keyArn],
    conditions: { StringEquals: { "kms:EncryptionContext:purpose": "alarm-webhook" } },
  });
}

/** Completes a step that waits for an agent, or reports its heartbeat. */
export function answerTasks(...stateMachineArns: string[]): PolicyStatement {
  return new PolicyStatement({
    actions: ["states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"],
    resources: stateMachineArns,
  });
}

/**
 * Starts these workflows from a workflow and waits for them: Step Functions describes the executions, stops
 * them if the wait is abandoned, and receives their end through its own EventBridge rule
 * (https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html).
 */
export function startExecutions(
  stack: Stack,
  machines: Readonly<Partial<Record<WorkflowName, IStateMachine>>>,
): PolicyStatement[] {
  const rule = stack.formatArn({
    service: "events",
    resource: "rule",
    resourceName: "StepFunctionsGetEventsForStepFunctionsExecutionRule",
  });
  return [
    new PolicyStatement({
      actions: ["states:StartExecution"],
      resources: Object.values(machines).map(({ stateMachineArn }) => stateMachineArn),
    }),
    onExecutions(
      stack,
      ["states:DescribeExecution", "states:StopExecution"],
      Object.keys(machines) as WorkflowName[],
    ),
    new PolicyStatement({
      actions: ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
      resources: [rule],
    }),
  ];
}

/** Reads or stops executions of these workflows. */
export function onExecutions(
  stack: Stack,
  actions: string[],
  workflows: readonly WorkflowName[],
): PolicyStatement {
  return new PolicyStatement({
    actions,
    resources: workflows.map((workflow) =>
      stack.formatArn({
        service: "states",
        resource: "execution",
        resourceName: `${stateMachineName(workflow)}:*`,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
    ),
  });
}
