/** Whether an armed machine is still as arming left it. */
import * as z from "zod";
import { saysSystemIsUp } from "#shared/domain/grub-bookkeeping.ts";
import { ArmedStateChangedError, ArmingFailedError } from "#shared/errors.ts";
import { BootStateItem } from "#shared/protocol/boot-receipt.ts";
import { isEqual, type SavedOn, stateNow } from "./attest.ts";
import { changedVariables, decodeGrubEnvironment } from "./grub-environment.ts";
import { nameOf, type SavedItem } from "./saved-state.ts";

/** The items of a saved state as they were read right after arming, in the same order. */
export const ArmedState = z.array(BootStateItem);
export type ArmedState = z.infer<typeof ArmedState>;

/** Throws `ArmingFailedError` if an item does not hold what arming wrote. */
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

/**
 * Throws `ArmedStateChangedError` if the bytes of an item have changed since arming, or the item no longer
 * exists.
 */
export async function requireAsArmed(armed: ArmedState, context: SavedOn): Promise<void> {
  const changed: string[] = [];
  for (const [index, item] of context.saved.items.entries()) {
    const then = armed[index];
    const isAsArmed = then && isEqual(then, await stateNow(item, context), false);
    if (!isAsArmed && !(await startsAsArmed(item, context))) changed.push(nameOf(context.saved, item));
  }
  if (changed.length > 0) throw new ArmedStateChangedError(changed);
}

/**
 * Of GRUB's environment block: whether only a service of the running system has noted since that the system
 * is up, as Fedora's does two minutes after a login.
 */
async function startsAsArmed(item: SavedItem, { machine, volumes }: SavedOn): Promise<boolean> {
  if (item.kind !== "file" || item.format !== "grub-environment" || !item.armed) return false;
  const path = volumes.pathOf(item.location);
  const now = (await machine.status(path))?.kind === "file" ? await machine.contents(path) : undefined;
  if (!now || !decodeGrubEnvironment(now)) return false;
  const changes = changedVariables(Buffer.from(item.armed.bytesBase64, "base64"), now);
  return changes.every(([name, value]) => saysSystemIsUp(name, value));
}

function armedSha256(item: SavedItem): string | undefined {
  return item.kind === "file" || item.kind === "variable" ? item.armed?.sha256 : undefined;
}
