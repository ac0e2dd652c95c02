import { requireAsArmed } from "../boot-loaders/armed-state.ts";
import { readVolumes } from "../boot-loaders/volumes.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { RestarterOptions } from "./restarter.ts";
import type { SavedStates } from "./saved-states.ts";

/**
 * In the original system a restart only ever leads into the boot environment, and only if this agent armed it
 * in this boot, for the same conversion, and has kept what it takes to give the boot state back. Throws
 * `ArmedStateChangedError` where the machine no longer is as it was armed.
 */
export function restartsIfArmed(
  states: Pick<SavedStates, "armedBy">,
  machine: BootMachine,
  currentBootId: string,
): RestarterOptions["objection"] {
  return async ({ conversionId, into }) => {
    if (into === "original") return "it runs its original system";
    const armed = await states.armedBy(conversionId);
    if (!armed) return "this agent has not armed it for that";
    if (armed.bootId !== currentBootId) return "it was restarted since it was armed";
    await requireAsArmed(armed.state, { saved: armed.saved, machine, volumes: await readVolumes(machine) });
    return undefined;
  };
}

/**
 * The boot environment only ever restarts into the original system, whichever conversion asks: that never
 * strands it.
 */
export const restartsHome: RestarterOptions["objection"] = async ({ into }) =>
  into === "original" ? undefined : "it runs the boot environment";
