import type { ExecutionContext, Executor } from "./executor.ts";

/** Removes what a conversion or drill left on this machine and no longer needs. */
export function releaseExecutor(
  remove: (ownerId: string, kept: { adaptation: boolean }, context: ExecutionContext) => Promise<void>,
): Executor<"release"> {
  return async ({ ownerId, keepsAdaptation = false }, context) => {
    await remove(ownerId, { adaptation: keepsAdaptation }, context);
    return {};
  };
}
