import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { numberProperty } from "../core/resource-properties.ts";
import { ACCOUNT_ID, REGION } from "../core/service.ts";

const Time = z.union([
  z.number().transform((seconds) => seconds * 1000),
  z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
]);
const FlexibleTimeWindow = z.strictObject({ Mode: z.enum(["OFF", "FLEXIBLE"]) });
const RetryPolicy = z.strictObject({
  MaximumEventAgeInSeconds: numberProperty.pipe(z.int().min(60).max(86_400)).default(86_400),
  MaximumRetryAttempts: numberProperty.pipe(z.int().min(0).max(185)).default(185),
});
const Target = z.strictObject({
  Arn: z.string().regex(/^arn:aws:(lambda:[^:]*:\d+:function|states:[^:]*:\d+:stateMachine):/),
  RoleArn: z.string().startsWith("arn:aws:iam::"),
  Input: z
    .string()
    .max(256 * 1024)
    .optional(),
  RetryPolicy: RetryPolicy.prefault({}),
});

/** What a schedule is, as the API and templates give it; times in milliseconds since 1970. */
export const ScheduleDefinition = z.strictObject({
  Description: z.string().max(512).optional(),
  ScheduleExpression: z.string(),
  ScheduleExpressionTimezone: z.string().default("UTC"),
  StartDate: Time.optional(),
  EndDate: Time.optional(),
  FlexibleTimeWindow,
  State: z.enum(["ENABLED", "DISABLED"]).default("ENABLED"),
  ActionAfterCompletion: z.enum(["NONE", "DELETE"]).default("NONE"),
  Target,
});
export type ScheduleDefinition = z.output<typeof ScheduleDefinition>;
export type ScheduleTarget = ScheduleDefinition["Target"];

/** Names a schedule. */
export interface ScheduleKey {
  group: string;
  name: string;
}

export const ScheduleName = z.string().regex(/^[0-9a-zA-Z-_.]{1,64}$/);

export function scheduleArn({ group, name }: ScheduleKey): string {
  return `arn:aws:scheduler:${REGION}:${ACCOUNT_ID}:schedule/${group}/${name}`;
}

export function scheduleGroupArn(group: string): string {
  return `arn:aws:scheduler:${REGION}:${ACCOUNT_ID}:schedule-group/${group}`;
}

/**
 * Reads input of the API: a member that is not supported is an `UnsupportedError`, a wrong value a
 * `ValidationException`.
 */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    if (issue.code === "unrecognized_keys") {
      const names = issue.keys.map((key) => [...issue.path, key].join("."));
      throw new UnsupportedError(`${names.join(", ")} of a schedule`);
    }
  }
  throw new AwsError("ValidationException", z.prettifyError(parsed.error));
}
