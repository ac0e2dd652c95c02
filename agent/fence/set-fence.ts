import type { Executor } from "../commands/executor.ts";
import type { FenceKeeper } from "./fence-keeper.ts";

/** Puts the source's fence up or takes it down. `services`: those that the operator listed. */
export function setFenceExecutor(
  fence: Pick<FenceKeeper, "set">,
  services: readonly string[],
): Executor<"set-fence"> {
  return async (input) => {
    const { term, isUp, services: kept } = await fence.set(input, services);
    return { term, isUp, services: isUp ? kept : [] };
  };
}
