import { AwsError } from "../core/aws-error.ts";
import { ACCOUNT_ID, type Authorizer, type LambdaInvoker, REGION, type Roles } from "../core/service.ts";
import { type ScheduleKey, type ScheduleTarget, scheduleArn, scheduleGroupArn } from "./schedule.ts";
import type { Delivery } from "./schedule-store.ts";

/** What schedules can start. */
export interface TargetPorts {
  authorizer: Authorizer;
  roles: Roles;
  lambda: LambdaInvoker;
  /**
   * Starts a Step Functions execution; throws `AwsError`, `ExecutionAlreadyExists` for a name that was used.
   */
  startExecution(request: { stateMachineArn: string; name: string; input: string }): unknown;
}

/** Assumes the target's role and hands the event over. Throws `AwsError`. */
export async function deliver(delivery: Delivery, ports: TargetPorts): Promise<void> {
  const { target } = delivery;
  const caller = assumeTargetRole(delivery, target, ports.roles);
  const input = inputOf(delivery);
  if (target.Arn.startsWith("arn:aws:lambda:")) {
    ports.lambda.enqueue({ functionArn: target.Arn, payload: parseJson(input), caller });
    return;
  }
  ports.authorizer.authorize(caller, { action: "states:StartExecution", resource: target.Arn });
  try {
    // Named after the delivery: a repetition after a crash finds the execution that it started before.
    await ports.startExecution({ stateMachineArn: target.Arn, name: delivery.id, input });
  } catch (error) {
    if (error instanceof AwsError && error.code === "ExecutionAlreadyExists") return;
    throw error;
  }
}

/** A session of the target's role, as its trust policy allows the scheduler for this schedule's group. */
export function assumeTargetRole(
  key: ScheduleKey,
  target: ScheduleTarget,
  roles: Roles,
): ReturnType<Roles["assumeForService"]> {
  return roles.assumeForService(target.RoleArn, "scheduler.amazonaws.com", {
    sessionName: key.name,
    context: { "aws:SourceArn": scheduleGroupArn(key.group), "aws:SourceAccount": ACCOUNT_ID },
  });
}

/** Throws `ValidationException` unless the input will be JSON: both kinds of target take nothing else. */
export function checkInput({ Input }: ScheduleTarget): void {
  if (Input !== undefined) parseJson(Input);
}

function inputOf(delivery: Delivery): string {
  const { target, id, scheduledAt, failures } = delivery;
  const arn = scheduleArn(delivery);
  const time = new Date(scheduledAt).toISOString().replace(/\.\d+Z$/, "Z");
  if (target.Input === undefined) return defaultInput(id, arn, time);
  return target.Input.replaceAll("<aws.scheduler.schedule-arn>", arn)
    .replaceAll("<aws.scheduler.scheduled-time>", time)
    .replaceAll("<aws.scheduler.execution-id>", id)
    .replaceAll("<aws.scheduler.attempt-number>", String(failures + 1));
}

/** What a target without an input of its own gets. */
function defaultInput(id: string, arn: string, time: string): string {
  return JSON.stringify({
    version: "0",
    id,
    "detail-type": "Scheduled Event",
    source: "aws.scheduler",
    account: ACCOUNT_ID,
    time,
    region: REGION,
    resources: [arn],
    detail: "{}",
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AwsError("ValidationException", "The Input of the target is not valid JSON.", 400, { cause });
  }
}
