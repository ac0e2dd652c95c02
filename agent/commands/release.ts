import type { Executor } from "./executor.ts";

/** Removes what a conversion or drill left on this machine and no longer needs. */
export function releaseExecutor(remove: (ownerId: string) => Promise<void>): Executor<"release"> {
  return async ({ ownerId }) => {
    await remove(ownerId);
    return {};
  };
}
