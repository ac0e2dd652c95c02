import { timeOfId } from "#shared/domain/id.ts";
import { ConversionId } from "#shared/protocol/ids.ts";
import type { Store } from "../store/store.ts";

/**
 * Since when a conversion holds the source, in milliseconds since 1970; `undefined` if none does. Its
 * captures may need what was needed then.
 */
export async function heldSince(
  sourceId: string,
  { agents }: Pick<Store, "agents">,
): Promise<number | undefined> {
  const holder = (await agents.find(sourceId))?.activeConversionId;
  if (holder === undefined) return undefined;
  // A holder of another kind may have begun at any time.
  return ConversionId.safeParse(holder).success ? timeOfId(holder) : 0;
}
