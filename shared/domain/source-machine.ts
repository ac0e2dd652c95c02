/**
 * The machine of a conversion that restarts it: where it is, as told by commands' results and by where its
 * agent connects from.
 */
import type { z } from "zod";
import { type CommandKind, commandKinds } from "../protocol/commands.ts";
import { type AgentEnvironment, BootId, MachineState } from "../protocol/machine.ts";

export const MachineRecord = MachineState.extend({
  /**
   * The boot of the original system in which it was armed: heard in another one, it has been restarted since.
   */
  armedInBoot: BootId.optional(),
});
export type MachineRecord = z.infer<typeof MachineRecord>;

export function untouchedMachine(now: string): MachineRecord {
  return { is: "original", bootState: "untouched", since: now };
}

/**
 * Whether it may not start, or not be, as it was before: until a receipt has said otherwise, somebody has to
 * look after it.
 */
export function isAway(machine: MachineState): boolean {
  return machine.is !== "original" || mayHaveLeft(machine);
}

/** The command to arm it goes out: from here on it may be armed. */
export function arming(machine: MachineRecord): MachineRecord {
  return machine.bootState === "armed" ? machine : { ...machine, bootState: "armed" };
}

/** After a command has succeeded with this output. */
export function afterCommand(
  machine: MachineRecord,
  command: { kind: CommandKind; input: Record<string, unknown> },
  output: unknown,
  now: string,
): MachineRecord {
  switch (command.kind) {
    case "arm-boot": {
      const { bootId } = commandKinds["arm-boot"].output.parse(output);
      return { ...machine, armedInBoot: bootId };
    }
    case "reboot":
      return machine.is === command.input.into ? machine : movedTo(machine, "rebooting", now);
    case "report-boot-state": {
      const { restored } = commandKinds["report-boot-state"].output.parse(output);
      const there = movedTo(machine, "boot-environment", now);
      return restored ? { ...there, bootState: "restored" } : there;
    }
    case "attest-boot-state": {
      const { receipt } = commandKinds["attest-boot-state"].output.parse(output);
      const bootState = receipt.content.outcome === "different" ? "unconfirmed" : "confirmed";
      return { ...movedTo(machine, "original", now), bootState };
    }
    default:
      return machine;
  }
}

/**
 * After a command has failed. Whoever attests is back, whatever it found; and where nothing was ever saved,
 * nothing was ever armed.
 */
export function afterFailure(
  machine: MachineRecord,
  command: { kind: CommandKind },
  failureName: string,
  now: string,
): MachineRecord {
  if (command.kind !== "attest-boot-state") return machine;
  const there = movedTo(machine, "original", now);
  const neverArmed = failureName === "BootStateNotSavedError" && !machine.armedInBoot;
  return neverArmed ? { ...there, bootState: "untouched" } : there;
}

export interface Heard {
  environment: AgentEnvironment;
  bootId: string | undefined;
}

/**
 * After its agent has connected. One that shuts down may connect once more: only another boot proves that the
 * machine is back.
 */
export function afterConnect(machine: MachineRecord, heard: Heard, now: string): MachineRecord {
  if (heard.environment === "boot-environment") return movedTo(machine, "boot-environment", now);
  return isBack(machine, heard) ? movedTo(machine, "original", now) : machine;
}

/** Whether it has been restarted since it was armed, and runs its original system. */
export function isBack({ is, armedInBoot }: MachineRecord, { environment, bootId }: Heard): boolean {
  if (environment !== "original") return false;
  if (armedInBoot && bootId) return bootId !== armedInBoot;
  // Of one that was not armed, only a restart out of the boot environment was asked.
  return is === "boot-environment" || is === "unknown" || (is === "rebooting" && !armedInBoot);
}

/** Whether it is known to start, and to be, as it was before: nothing was touched, or a receipt says so. */
export function isAsItWas(machine: MachineState): boolean {
  return !isAway(machine) && machine.bootState !== "unconfirmed";
}

/**
 * Whether it has reason to run its boot environment: it was armed for that, and its boot state is not
 * confirmed since.
 */
export function mayHaveLeft({ bootState }: MachineState): boolean {
  return bootState === "armed" || bootState === "restored";
}

/**
 * At the end of its conversion. Who was not heard from the original system by then is not known to be
 * anywhere. One that is armed stays armed: nobody has heard that it was taken back.
 */
export function atEnd(machine: MachineRecord, lastHeardAt: string): MachineRecord {
  const { is, bootState } = machine;
  return {
    ...machine,
    ...(is === "original"
      ? {}
      : { is: "unknown" as const, since: is === "unknown" ? machine.since : lastHeardAt }),
    bootState: bootState === "restored" ? "unconfirmed" : bootState,
  };
}

function movedTo(machine: MachineRecord, is: MachineRecord["is"], now: string): MachineRecord {
  return machine.is === is ? machine : { ...machine, is, since: now };
}
