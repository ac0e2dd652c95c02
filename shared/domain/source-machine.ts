/**
 * The machine of a conversion that restarts it: where it is, according to the results of commands and the
 * system that its agent connects from.
 */
import type { z } from "zod";
import { type CommandKind, commandKinds } from "../protocol/commands.ts";
import { type AgentEnvironment, BootId, MachineState } from "../protocol/machine.ts";

export const MachineRecord = MachineState.extend({
  /**
   * The boot of the original system in which it was armed. A report from another boot means that it has been
   * restarted since.
   */
  armedInBoot: BootId.optional(),
});
export type MachineRecord = z.infer<typeof MachineRecord>;

export function untouchedMachine(now: string): MachineRecord {
  return { is: "original", bootState: "untouched", since: now };
}

/**
 * Whether it may be away from its original system, or may start differently than before. Until a receipt
 * says otherwise, an operator has to look after it.
 */
export function isAway(machine: MachineState): boolean {
  return machine.is !== "original" || mayHaveLeft(machine);
}

/** The control plane is about to send the command to arm it: from then on it may be armed. */
export function arming(machine: MachineRecord): MachineRecord {
  return machine.bootState === "armed" ? machine : { ...machine, bootState: "armed" };
}

/** The machine after a command has succeeded with this output. */
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
 * The machine after a command has failed. A machine whose agent tried to attest is back in its original
 * system, even if that failed. If no boot state was ever saved, nothing was ever armed.
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

/** After its agent has retracted a restart: it still runs its original system. */
export function afterRetraction(machine: MachineRecord, now: string): MachineRecord {
  return machine.is === "rebooting" ? movedTo(machine, "original", now) : machine;
}

export interface Contact {
  environment: AgentEnvironment;
  bootId: string | undefined;
}

/**
 * The machine after its agent has connected. An agent can connect once more while its system shuts down, so
 * only another boot proves that the machine is back.
 */
export function afterConnect(machine: MachineRecord, contact: Contact, now: string): MachineRecord {
  if (contact.environment === "boot-environment") return movedTo(machine, "boot-environment", now);
  return isBack(machine, contact) ? movedTo(machine, "original", now) : machine;
}

/** Whether the report proves that it has been restarted since it was armed and runs its original system. */
export function isBack({ is, armedInBoot }: MachineRecord, { environment, bootId }: Contact): boolean {
  if (environment !== "original") return false;
  if (armedInBoot && bootId) return bootId !== armedInBoot;
  // A machine that was not armed was only ever asked to restart out of the boot environment.
  return is === "boot-environment" || is === "unknown" || (is === "rebooting" && !armedInBoot);
}

/** Whether it is known to be and to start as before: nothing was touched, or a receipt confirms it. */
export function isAsItWas(machine: MachineState): boolean {
  return !isAway(machine) && machine.bootState !== "unconfirmed";
}

/**
 * Whether it may be in its boot environment: it was armed, and its boot state has not been confirmed since.
 */
export function mayHaveLeft({ bootState }: MachineState): boolean {
  return bootState === "armed" || bootState === "restored";
}

/**
 * The machine at the end of its conversion. If the original system has not reported by then, its location
 * becomes `unknown`. An armed machine stays armed, because no report says that it was disarmed.
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
