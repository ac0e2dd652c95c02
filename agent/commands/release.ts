import type { Executor } from "./executor.ts";

/** Removes what a conversion left on this machine and no longer needs. */
export function releaseExecutor(remove: (conversionId: string) => Promise<void>): Executor<"release"> {
  return async ({ conversionId }) => {
    await remove(conversionId);
    return {};
  };
}
