import { AwsError } from "#local/core/aws-error.ts";
import { ACCOUNT_ID, REGION } from "#local/core/service.ts";

export function machineArn(name: string): string {
  return `arn:aws:states:${REGION}:${ACCOUNT_ID}:stateMachine:${name}`;
}

export function executionArn(machineName: string, name: string): string {
  return `arn:aws:states:${REGION}:${ACCOUNT_ID}:execution:${machineName}:${name}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: AWS forbids control characters in names
const FORBIDDEN = /[\s<>{}[\]?*"#%\\^|~`$&,;:/\u0000-\u001f\u007f-\u009f]/;

/** Throws `InvalidName` unless AWS takes it for a state machine or an execution. */
export function checkName(name: string): void {
  if (name.length === 0 || name.length > 80 || FORBIDDEN.test(name)) {
    throw new AwsError("InvalidName", `Invalid Name: '${name}'`);
  }
}

/** Throws `InvalidArn` unless it is shaped like the ARN of one of these. */
export function checkArn(arn: string, kind: "stateMachine" | "execution"): void {
  const parts = arn.split(":");
  const length = kind === "execution" ? 8 : 7;
  if (parts.length !== length || !arn.startsWith("arn:aws:states:") || parts[5] !== kind) {
    throw new AwsError("InvalidArn", `Invalid Arn: '${arn}'`);
  }
}
