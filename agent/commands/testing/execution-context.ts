import type { ExecutionContext } from "../executor.ts";

/** For tests: what an executor gets with a command, where the test says nothing else. */
export function executionContext(own: Partial<ExecutionContext> = {}): ExecutionContext {
  return {
    ...{ commandId: "cmd_1", requestedBy: "ada", signal: new AbortController().signal },
    ...{ progress: () => {}, machineChanged: () => {}, retract: async () => {} },
    ...own,
  };
}
