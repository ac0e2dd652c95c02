import { ownerKind } from "#shared/protocol/ids.ts";
import { requireAsArmed } from "../boot-loaders/armed-state.ts";
import { readVolumes } from "../boot-loaders/volumes.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { RestartDeps } from "./restart-executor.ts";
import type { SavedStates } from "./saved-states.ts";

/**
 * In the original system, allows a restart only into the boot environment, and only if this agent armed it in
 * this boot, for the same conversion, and has kept what it needs to restore the boot state. Throws
 * `ArmedStateChangedError` if the machine is no longer in the state in which it was armed.
 */
export function allowOnlyIfArmed(
  states: Pick<SavedStates, "armedBy">,
  machine: BootMachine,
  currentBootId: string,
): RestartDeps["refusal"] {
  return async ({ conversionId, into }) => {
    if (into === "original") return "it runs its original system";
    const armed = await states.armedBy(conversionId);
    if (!armed) return "this agent has not armed it for that";
    if (armed.bootId !== currentBootId) return "it has restarted since it was armed";
    await requireAsArmed(armed.state, { saved: armed.saved, machine, volumes: await readVolumes(machine) });
    return undefined;
  };
}

/** Allows what `rule` does; for a cutover only while the source is fenced. */
export function allowOnlyFenced(
  fence: { read: () => Promise<{ isUp: boolean }> },
  rule: RestartDeps["refusal"],
): RestartDeps["refusal"] {
  return async (wanted) => {
    if (ownerKind(wanted.conversionId) === "cutover" && !(await fence.read()).isUp)
      return "its fence is down, so it may serve its clients";
    return rule(wanted);
  };
}

/**
 * In the boot environment, allows a restart only into the original system, for any conversion: that never
 * strands the machine.
 */
export const allowOnlyToOriginal: RestartDeps["refusal"] = async ({ into }) =>
  into === "original" ? undefined : "it runs the boot environment";
