/** Where a machine is that a conversion restarts, and what is known of its boot state. */
import { z } from "zod";
import { Timestamp } from "./common.ts";

/** Which system an agent runs in, and for which of them a command is meant. */
export const AgentEnvironment = z.enum(["original", "boot-environment"]);
export type AgentEnvironment = z.infer<typeof AgentEnvironment>;

/** Of one boot of a system: changes with each. */
export const BootId = z.string().min(1).max(64);

export const MachineState = z.object({
  is: z.enum(["original", "rebooting", "boot-environment", "unknown"]),
  /**
   * `untouched`: nothing was changed. `armed`: the next start may lead into the boot environment. `restored`:
   * the boot environment has put it back. `confirmed`: a boot receipt says that it is what it was.
   * `unconfirmed`: there is no such receipt, or it says otherwise.
   */
  bootState: z.enum(["untouched", "armed", "restored", "confirmed", "unconfirmed"]),
  /** Since when the machine is there; for `unknown`, when it was last heard. */
  since: Timestamp,
});
export type MachineState = z.infer<typeof MachineState>;

/** Where the machine is, as it continues "the machine is …". */
export function whereIs({ is, since }: MachineState): string {
  switch (is) {
    case "original":
      return "in its original system";
    case "rebooting":
      return `restarting since ${since}`;
    case "boot-environment":
      return "in the boot environment";
    case "unknown":
      return `not known: it was not heard since ${since}`;
  }
}

const bootStateInWords: Readonly<Record<MachineState["bootState"], string>> = {
  untouched: "boot state untouched",
  armed: "armed: the next start may lead into the boot environment once",
  restored: "boot state put back, not confirmed yet",
  confirmed: "boot state confirmed by a receipt",
  unconfirmed: "boot state unconfirmed",
};

/** `in its original system, boot state confirmed by a receipt`. */
export function machineInWords(machine: MachineState): string {
  return `${whereIs(machine)}, ${bootStateInWords[machine.bootState]}`;
}
