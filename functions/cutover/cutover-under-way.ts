import { cutoverHasEnded, isBefore } from "#shared/domain/cutover/cutover.ts";
import { WrongStateError } from "#shared/errors.ts";
import type { Store } from "../store/store.ts";

/** The cutover of the plan's source if it is under way: then it alone begins runs. */
export async function cutoverUnderWay(
  planId: string | undefined,
  { plans, cutovers }: Pick<Store, "plans" | "cutovers">,
): Promise<string | undefined> {
  const cutoverId = planId === undefined ? undefined : (await plans.find(planId))?.cutoverId;
  const cutover = cutoverId === undefined ? undefined : await cutovers.find(cutoverId);
  return cutover && !isBefore(cutover) && !cutoverHasEnded(cutover) ? cutover.id : undefined;
}

/** Throws `WrongStateError` if a cutover of the source is under way. */
export async function requireNoCutover(
  source: { id: string; planId?: string | undefined },
  store: Pick<Store, "plans" | "cutovers">,
): Promise<void> {
  const cutoverId = await cutoverUnderWay(source.planId, store);
  if (cutoverId === undefined) return;
  throw new WrongStateError(
    `cutover ${cutoverId} of source ${source.id} is under way`,
    `Wait until it has ended, or roll it back with \`causeway cutover rollback ${cutoverId}\`.`,
  );
}
