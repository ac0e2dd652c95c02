import { AwsError } from "#local/core/aws-error.ts";
import type { LambdaInvoker, Roles } from "#local/core/service.ts";
import type { Execution } from "./execution.ts";
import type { Failure } from "./failure.ts";
import type { FunctionWork } from "./frames.ts";
import type { Returned } from "./kinds/task.ts";
import { assumeMachineRole } from "./machine-role.ts";

/**
 * Invokes the function of a task as the machine's role. Never throws: any error fails the task,
 * under the name that AWS would give it.
 */
export async function invokeFunction(
  { lambda, roles }: { lambda: LambdaInvoker; roles: Roles },
  execution: Execution,
  { functionArn, payload }: FunctionWork,
): Promise<Returned> {
  try {
    const caller = assumeMachineRole(roles, execution, execution.name);
    const result = await lambda.invoke({ functionArn, payload, caller });
    if (result.functionError) return { failure: handlerFailure(result.payload) };
    return { payload: result.payload ?? null };
  } catch (error) {
    return { failure: serviceFailure(error) };
  }
}

function handlerFailure(payload: unknown): Failure {
  const errorType = (payload as { errorType?: unknown } | null)?.errorType;
  return {
    error: typeof errorType === "string" && errorType !== "" ? errorType : "Lambda.Unknown",
    cause: JSON.stringify(payload ?? null),
  };
}

function serviceFailure(error: unknown): Failure {
  const cause = error instanceof Error ? error.message : String(error);
  if (!(error instanceof AwsError)) return { error: "Lambda.ServiceException", cause };
  const name = error.code === "AccessDeniedException" ? "AWSLambdaException" : error.code;
  return { error: `Lambda.${name}`, cause };
}
