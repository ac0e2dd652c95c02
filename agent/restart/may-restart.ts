import type { RestarterOptions } from "./restarter.ts";
import type { SavedStates } from "./saved-states.ts";

/**
 * In the original system a restart only ever leads into the boot environment, and only if this agent armed it
 * in this boot, for the same conversion, and has kept what it takes to give the boot state back.
 */
export function restartsIfArmed(
  states: Pick<SavedStates, "armedIn">,
  currentBootId: string,
): RestarterOptions["objection"] {
  return async ({ conversionId, into }) => {
    if (into === "original") return "it runs its original system";
    const armedIn = await states.armedIn(conversionId);
    if (armedIn === undefined) return "this agent has not armed it for that";
    return armedIn === currentBootId ? undefined : "it was restarted since it was armed";
  };
}

/**
 * The boot environment only ever restarts into the original system, whichever conversion asks: that never
 * strands it.
 */
export const restartsHome: RestarterOptions["objection"] = async ({ into }) =>
  into === "original" ? undefined : "it runs the boot environment";
