import type { Executor } from "./executor.ts";

/** Gives back all that a conversion has taken on this machine and that is of no more use. */
export function releaseExecutor(remove: (conversionId: string) => Promise<void>): Executor<"release"> {
  return async ({ conversionId }) => {
    await remove(conversionId);
    return {};
  };
}
