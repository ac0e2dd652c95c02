/** The systems that an agent runs in, and the whereabouts of a machine that a conversion restarts. */
import * as z from "zod";
import { Timestamp } from "./common.ts";

/** The system that an agent runs in, or that a command is for. */
export const AgentSystem = z.enum(["original", "boot-environment"]);
export type AgentSystem = z.infer<typeof AgentSystem>;

/** The id of one boot of a system; each boot has another one. */
export const BootId = z.string().min(1).max(64);

/** Where a machine is, and what is known of its boot state. */
export const Whereabouts = z.object({
  location: z.enum(["original", "rebooting", "boot-environment", "unknown"]),
  /**
   * `untouched`: nothing was changed. `armed`: the next start may lead into the boot environment. `restored`:
   * the boot environment has restored it. `confirmed`: a boot receipt confirms that it is as it was.
   * `unconfirmed`: there is no such receipt, or it says otherwise.
   */
  bootState: z.enum(["untouched", "armed", "restored", "confirmed", "unconfirmed"]),
  /** When the machine got there; for `unknown`, when it last reported. */
  since: Timestamp,
});
export type Whereabouts = z.infer<typeof Whereabouts>;

/** The location in words that continue "the machine is …". */
export function whereIs({ location, since }: Whereabouts): string {
  switch (location) {
    case "original":
      return "in its original system";
    case "rebooting":
      return `restarting since ${since}`;
    case "boot-environment":
      return "in the boot environment";
    case "unknown":
      return `not known: it has not reported since ${since}`;
  }
}

const bootStateInWords: Readonly<Record<Whereabouts["bootState"], string>> = {
  untouched: "boot state untouched",
  armed: "armed: the next start may lead into the boot environment once",
  restored: "boot state restored, not confirmed yet",
  confirmed: "boot state confirmed by a receipt",
  unconfirmed: "boot state unconfirmed",
};

/** `in its original system, boot state confirmed by a receipt`. */
export function whereaboutsInWords(whereabouts: Whereabouts): string {
  return `${whereIs(whereabouts)}, ${bootStateInWords[whereabouts.bootState]}`;
}
