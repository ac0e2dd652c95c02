import { fencedFor } from "#shared/domain/fence.ts";
import { FenceInterruptedError } from "#shared/errors.ts";
import { ServiceName } from "#shared/protocol/fence.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import type { Executor } from "../commands/executor.ts";
import type { CutoverHooks } from "../hooks/cutover-hooks.ts";
import type { FenceKeeper } from "./fence-keeper.ts";

/**
 * Puts the source's fence up or takes it down. `services`: those that the operator listed. Before a cutover
 * puts it up, the hooks run; one that does not succeed leaves the fence as it is. Throws the keeper's errors.
 * Throws `FenceInterruptedError` if a cutover asked for the fence of its term, and that fence is not up.
 */
export function setFenceExecutor(
  fence: Pick<FenceKeeper, "read" | "set">,
  hooks: Pick<CutoverHooks, "before" | "after">,
  services: readonly string[],
): Executor<"set-fence"> {
  return async (input, { signal }) => {
    const now = await fence.read();
    const isCutover = ownerKind(input.ownerId) === "cutover";
    // A source that comes back after a recovery is fenced at once.
    const rises = input.isUp && !now.isUp && fencedFor(now, input.term).isUp;
    if (rises && isCutover) await hooks.before(input.ownerId, signal);
    const set = await endingHooks(fence, hooks, fence.set(input, services));
    const { term, isUp, lasting, services: kept } = set;
    // A broken fence does not come up again in its term: the source serves, so the machine must not.
    if (isCutover && input.isUp && !(isUp && term === input.term)) throw new FenceInterruptedError();
    const isService = (unit: string) => ServiceName.safeParse(unit).success;
    return { term, isUp, lasting: isUp && lasting, services: isUp ? kept.filter(isService) : [] };
  };
}

/**
 * Waits for `change`, and ends the hooks if the fence is down afterwards, whether or not `change` failed.
 * Resolves with the result of `change`. Rejects with its error, or with `CutoverHookFailedError`.
 */
export async function endingHooks<T>(
  fence: Pick<FenceKeeper, "read">,
  hooks: Pick<CutoverHooks, "after">,
  change: Promise<T>,
): Promise<T> {
  const [changed] = await Promise.allSettled([change]);
  const { isUp } = await fence.read();
  const failed = isUp ? undefined : await hooks.after();
  if (changed.status === "rejected") throw changed.reason;
  if (failed) throw failed;
  return changed.value;
}
