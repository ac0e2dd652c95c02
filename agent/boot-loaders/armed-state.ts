/** Whether an armed machine still is as arming left it. */
import { z } from "zod";
import { ArmedStateChangedError, ArmingFailedError } from "#shared/errors.ts";
import { BootStateItem } from "#shared/protocol/boot-receipt.ts";
import { isEqual, type SavedOn, stateNow } from "./attest.ts";
import { nameOf, type SavedItem } from "./saved-state.ts";

/** The items of a saved state as they were read right after arming, in its order. */
export const ArmedState = z.array(BootStateItem);
export type ArmedState = z.infer<typeof ArmedState>;

/** Throws `ArmingFailedError` where an item does not hold what it was armed with. */
export async function readArmedState(context: SavedOn): Promise<ArmedState> {
  const state: ArmedState = [];
  for (const item of context.saved.items) {
    const now = await stateNow(item, context);
    const expected = armedSha256(item);
    if (expected !== undefined && (!now.present || now.sha256 !== expected))
      throw new ArmingFailedError(nameOf(context.saved, item));
    state.push(now);
  }
  return state;
}

/** Throws `ArmedStateChangedError` where the bytes of an item changed since it was armed, or it is gone. */
export async function requireAsArmed(armed: ArmedState, context: SavedOn): Promise<void> {
  const changed: string[] = [];
  for (const [index, item] of context.saved.items.entries()) {
    const then = armed[index];
    const isAsArmed = then && isEqual(then, await stateNow(item, context), false);
    if (!isAsArmed) changed.push(nameOf(context.saved, item));
  }
  if (changed.length > 0) throw new ArmedStateChangedError(changed);
}

function armedSha256(item: SavedItem): string | undefined {
  return item.kind === "file" || item.kind === "variable" ? item.armed?.sha256 : undefined;
}
