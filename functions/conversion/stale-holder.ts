import { timeOfId } from "#shared/domain/id.ts";
import { RunId } from "#shared/protocol/ids.ts";
import type { Clock } from "../ports.ts";
import type { Store } from "../store/store.ts";

/**
 * A start takes seconds (its function is stopped after 30), so after this time an unfinished one is
 * abandoned.
 */
export const ABANDONED_AFTER_MS = 120_000;

/**
 * The conversion or protection run that holds the source although it has ended or was never stored;
 * `undefined` if none does.
 */
export async function staleHolder(
  sourceId: string,
  { store, clock }: { store: Store; clock: Clock },
): Promise<string | undefined> {
  const holder = (await store.agents.get(sourceId)).heldBy;
  if (!holder) return undefined;
  const owner = await store.owners.find(holder);
  if (owner) return owner.state === "running" || owner.state === "cancelling" ? undefined : holder;
  // A run is stored before it holds its source, a conversion afterwards.
  if (RunId.safeParse(holder).success) return holder;
  return clock.now() - timeOfId(holder) > ABANDONED_AFTER_MS ? holder : undefined;
}
