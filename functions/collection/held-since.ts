import { timeOfId } from "#shared/domain/id.ts";
import { dueTimeOfRun } from "#shared/domain/protection/run.ts";
import { ConversionId, RunId } from "#shared/protocol/ids.ts";
import type { Store } from "../store/store.ts";

/**
 * Since when a conversion or a protection run holds the source, at the latest, in milliseconds since 1970;
 * `undefined` if none does. Its captures may need what was needed then.
 */
export async function heldSince(
  sourceId: string,
  { agents }: Pick<Store, "agents">,
): Promise<number | undefined> {
  const holder = (await agents.find(sourceId))?.heldBy;
  if (holder === undefined) return undefined;
  if (ConversionId.safeParse(holder).success) return timeOfId(holder);
  // A run begins at its due time or later.
  return RunId.safeParse(holder).success ? dueTimeOfRun(holder) : 0;
}
