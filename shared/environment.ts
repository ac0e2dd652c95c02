/**
 * The environment variables of every Lambda function, by the function's name, which is its file under
 * `functions/`. The handler validates them at start. `infra` does not compile unless it supplies exactly
 * these.
 */
import * as z from "zod";

const Name = z.string().min(1);
const Arn = z.string().startsWith("arn:");
const table = { TABLE_NAME: Name };
/** The variables that a function needs to send commands to agents. */
const commanding = { ...table, COMMAND_KEY_ARN: Arn };
/**
 * The group of the plans' and cutovers' schedules, the functions that they call, and the role that calls
 * them.
 */
const scheduling = {
  SCHEDULE_GROUP: Name,
  RUN_PLAN_FUNCTION_ARN: Arn,
  WATCH_PLAN_FUNCTION_ARN: Arn,
  DRILL_PLAN_FUNCTION_ARN: Arn,
  WAKE_CUTOVER_FUNCTION_ARN: Arn,
  SCHEDULER_ROLE_ARN: Arn,
};
/** The variables that a function needs to begin protection runs and to set plans' schedules. */
const protecting = { ...commanding, PROTECTION_WORKFLOW_ARN: Arn, ...scheduling };
/** The variables that a function needs to raise and clear alarms. */
const alarming = { ALARM_TOPIC_ARN: Arn, WEBHOOK_WORKFLOW_ARN: Arn };

export const environments = {
  "api/enrolment-tokens": z.object(table),
  "api/enrolments": z.object({
    ...table,
    BUCKET_NAME: Name,
    KMS_KEY_ARN: Arn,
    COMMAND_KEY_ARN: Arn,
    /** IoT policies and role aliases by role. */
    SOURCE_POLICY: Name,
    TARGET_POLICY: Name,
    SOURCE_ROLE_ALIAS: Name,
    TARGET_ROLE_ALIAS: Name,
  }),
  "api/enrolment-requests": z.object(table),
  "api/agents": z.object(table),
  "api/conversions": z.object({ ...commanding, ...alarming, CONVERSION_WORKFLOW_ARN: Arn }),
  "api/drills": z.object({ ...commanding, DRILL_WORKFLOW_ARN: Arn }),
  "api/recoveries": z.object({ ...commanding, RECOVERY_WORKFLOW_ARN: Arn }),
  "api/cutovers": z.object({ ...protecting, ...alarming, CUTOVER_WORKFLOW_ARN: Arn }),
  "api/leases": z.object(table),
  "api/machines": z.object(commanding),
  "api/preflight": z.object(table),
  "api/boot-images": z.object({ ...table, BUCKET_NAME: Name, BOOT_IMAGE_UPLOAD_ROLE_ARN: Arn }),
  "api/recovery-points": z.object(table),
  "api/prune": z.object({ ...table, BUCKET_NAME: Name }),
  "api/collections": z.object({ ...table, COLLECT_GARBAGE_WORKFLOW_ARN: Arn }),
  "api/checks": z.object({ ...table, CHECK_REPOSITORIES_WORKFLOW_ARN: Arn }),
  "api/data-access": z.object({ ...table, BUCKET_NAME: Name, KMS_KEY_ARN: Arn, DATA_ACCESS_ROLE_ARN: Arn }),
  "api/plans": z.object({ ...protecting, ...alarming, BUCKET_NAME: Name }),
  "api/audit": z.object(table),
  "api/alarms": z.object({ ...table, ...alarming, KMS_KEY_ARN: Arn }),
  "api/openapi": z.object({}),
  "ingest/agent-events": z.object({ ...commanding, ...alarming, CONVERSION_WORKFLOW_ARN: Arn }),
  "ingest/agent-presence": z.object(table),
  "tasks/check-preflight": z.object(table),
  "tasks/dispatch-command": z.object(commanding),
  "tasks/record-recovery-point": z.object({ ...table, ...alarming }),
  "tasks/complete-conversion": z.object(table),
  "tasks/list-repositories": z.object(table),
  "tasks/collect-garbage": z.object({ ...table, BUCKET_NAME: Name }),
  "tasks/begin-check": z.object(table),
  "tasks/end-check": z.object({ ...commanding, ...alarming }),
  "tasks/finish-run": z.object({ ...table, BUCKET_NAME: Name, ...scheduling, ...alarming }),
  "tasks/abandon-run": z.object(commanding),
  "tasks/record-proof": z.object(commanding),
  "tasks/record-verdict": z.object({ ...table, ...alarming }),
  "tasks/finish-drill": z.object(table),
  "tasks/abandon-drill": z.object({ ...commanding, ...alarming }),
  "tasks/move-lease": z.object(commanding),
  "tasks/finish-recovery": z.object(table),
  "tasks/abandon-recovery": z.object(commanding),
  "tasks/await-cutover-start": z.object({ ...table, ...scheduling, ...alarming }),
  "tasks/start-cutover": z.object({ ...table, ...scheduling, ...alarming }),
  "tasks/begin-cutover-run": z.object(protecting),
  "tasks/end-cutover-run": z.object(table),
  "tasks/move-cutover-lease": z.object(commanding),
  "tasks/finish-cutover": z.object({ ...table, ...scheduling, ...alarming }),
  "tasks/roll-back-cutover": z.object(protecting),
  "tasks/end-cutover": z.object({ ...commanding, ...scheduling, ...alarming }),
  "schedule/run-plan": z.object(protecting),
  "schedule/wake-cutover": z.object({ ...protecting, ...alarming, CUTOVER_WORKFLOW_ARN: Arn }),
  "schedule/drill-plan": z.object({ ...table, ...scheduling, ...alarming, DRILL_WORKFLOW_ARN: Arn }),
  "schedule/watch-plan": z.object({ ...protecting, ...alarming }),
  "tasks/abandon-conversion": z.object({ ...commanding, ...alarming }),
  "tasks/send-webhook": z.object({ ...table, KMS_KEY_ARN: Arn }),
} as const satisfies Record<string, z.ZodObject>;

export type FunctionName = keyof typeof environments;
/** The variables as the function reads them. */
export type Environment<N extends FunctionName> = z.output<(typeof environments)[N]>;
/** The variables as they are set on the function. */
export type Variables<N extends FunctionName> = z.input<(typeof environments)[N]>;
