import { UnsupportedError } from "#local/core/aws-error.ts";

/** What a Task state's `Resource` asks for. */
export type TaskTarget =
  | { kind: "invoke"; waitForToken: boolean }
  /** The function itself as the resource: its payload is the task's input and its answer the result. */
  | { kind: "function"; functionArn: string }
  /** Starts an execution and ends when it ends. Its input and output are JSON, not text. */
  | { kind: "execution" };

const FUNCTION_ARN = /^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(:[\w$-]+)?$/;

/** Throws `UnsupportedError` for every integration but Lambda and nested executions. */
export function taskTarget(resource: string): TaskTarget {
  if (resource === "arn:aws:states:::lambda:invoke") return { kind: "invoke", waitForToken: false };
  if (resource === "arn:aws:states:::lambda:invoke.waitForTaskToken") {
    return { kind: "invoke", waitForToken: true };
  }
  if (resource === "arn:aws:states:::states:startExecution.sync:2") return { kind: "execution" };
  if (FUNCTION_ARN.test(resource)) return { kind: "function", functionArn: resource };
  throw new UnsupportedError(`the task resource ${resource}`);
}
