import { AwsError } from "../core/aws-error.ts";
import { ACCOUNT_ID, REGION } from "../core/service.ts";

/** A function as its template declares it. */
export interface FunctionConfiguration {
  name: string;
  arn: string;
  /** Such as `index.handler`. */
  handler: string;
  /** The unpacked code asset. */
  codeDirectory: string;
  roleArn: string;
  environment: Record<string, string>;
  timeoutSeconds: number;
  memoryMegabytes: number;
  /** The most environments that run at once; further synchronous calls are refused, as AWS does. */
  reservedConcurrency?: number;
  logGroup: string;
  logFormat: "Text" | "JSON";
  logLevel?: string;
}

/** What happens to a function's failed asynchronous events. */
export interface AsynchronousPolicy {
  maximumRetries: number;
  maximumAgeSeconds: number;
}
export const defaultAsynchronousPolicy: AsynchronousPolicy = { maximumRetries: 2, maximumAgeSeconds: 21_600 };

const arnPrefix = `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:`;

export function functionArn(name: string): string {
  return arnPrefix + name;
}

/** The unqualified ARN for a function's name, partial ARN or ARN; only the version `$LATEST` exists here. */
export function resolveFunctionArn(nameOrArn: string): string {
  const name = nameOrArn.startsWith(arnPrefix)
    ? nameOrArn.slice(arnPrefix.length)
    : nameOrArn.replace(new RegExp(`^${ACCOUNT_ID}:function:`), "");
  const [base, qualifier, ...rest] = name.split(":");
  const known = base !== undefined && /^[a-zA-Z0-9-_]{1,64}$/.test(base);
  if (!known || rest.length > 0 || (qualifier !== undefined && qualifier !== "$LATEST")) {
    throw functionNotFound(nameOrArn);
  }
  return arnPrefix + base;
}

export function functionNotFound(nameOrArn: string): AwsError {
  return new AwsError("ResourceNotFoundException", `Function not found: ${nameOrArn}`, 404);
}
