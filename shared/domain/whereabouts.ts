/**
 * The whereabouts of a machine that a conversion or a cutover restarts, according to the results of commands
 * and the system that its agent connects from.
 */
import * as z from "zod";
import { BootReceipt } from "../protocol/boot-receipt.ts";
import { type CommandKind, commandKinds } from "../protocol/commands.ts";
import { Timestamp } from "../protocol/common.ts";
import { type AgentSystem, BootId, Whereabouts } from "../protocol/machine.ts";

export const WhereaboutsRecord = Whereabouts.extend({
  /**
   * The boot of the original system in which it was armed. A report from another boot means that it has been
   * restarted since.
   */
  armedInBoot: BootId.optional(),
});
export type WhereaboutsRecord = z.infer<typeof WhereaboutsRecord>;

export function untouchedWhereabouts(now: string): WhereaboutsRecord {
  return { location: "original", bootState: "untouched", since: now };
}

/** The last receipt of the machine's agent. */
export const Attested = z.object({ receipt: BootReceipt, receivedAt: Timestamp });
export type Attested = z.infer<typeof Attested>;

/** With this receipt. One that has arrived before keeps its time, because its event can arrive twice. */
export function withAttested<T extends { attested?: Attested | undefined }>(one: T, attested: Attested): T {
  const isSame = one.attested?.receipt.signature.valueBase64 === attested.receipt.signature.valueBase64;
  return isSame ? one : { ...one, attested };
}

/** What restarts a machine, with what `learn` makes of it: the same object if that is nothing new. */
export function withWhereabouts<T extends { whereabouts?: WhereaboutsRecord | undefined }>(
  restarter: T,
  learn: (whereabouts: WhereaboutsRecord) => WhereaboutsRecord,
): T {
  if (!restarter.whereabouts) return restarter;
  const whereabouts = learn(restarter.whereabouts);
  return whereabouts === restarter.whereabouts ? restarter : { ...restarter, whereabouts };
}

/**
 * Whether it may be away from its original system, or may start differently than before. Until a receipt
 * says otherwise, an operator has to look after it.
 */
export function isAway(whereabouts: Whereabouts): boolean {
  return whereabouts.location !== "original" || mayHaveLeft(whereabouts);
}

/** The control plane is about to send the command to arm it: from then on it may be armed. */
export function arming(whereabouts: WhereaboutsRecord): WhereaboutsRecord {
  return whereabouts.bootState === "armed" ? whereabouts : { ...whereabouts, bootState: "armed" };
}

/** The machine after a command has succeeded with this output. */
export function afterCommand(
  whereabouts: WhereaboutsRecord,
  command: { kind: CommandKind; input: Record<string, unknown> },
  output: unknown,
  now: string,
): WhereaboutsRecord {
  switch (command.kind) {
    case "arm-boot": {
      const { bootId } = commandKinds["arm-boot"].output.parse(output);
      return { ...whereabouts, armedInBoot: bootId };
    }
    case "reboot":
      return whereabouts.location === command.input.into
        ? whereabouts
        : movedTo(whereabouts, "rebooting", now);
    case "report-boot-state": {
      const { restored } = commandKinds["report-boot-state"].output.parse(output);
      const there = movedTo(whereabouts, "boot-environment", now);
      return restored ? { ...there, bootState: "restored" } : there;
    }
    case "attest-boot-state": {
      const { receipt } = commandKinds["attest-boot-state"].output.parse(output);
      const bootState = receipt.content.outcome === "different" ? "unconfirmed" : "confirmed";
      return { ...movedTo(whereabouts, "original", now), bootState };
    }
    default:
      return whereabouts;
  }
}

/**
 * The machine after a command has failed. A machine whose agent tried to attest is back in its original
 * system, even if that failed. If no boot state was ever saved, nothing was ever armed.
 */
export function afterFailure(
  whereabouts: WhereaboutsRecord,
  command: { kind: CommandKind },
  failureName: string,
  now: string,
): WhereaboutsRecord {
  if (command.kind !== "attest-boot-state") return whereabouts;
  const there = movedTo(whereabouts, "original", now);
  const neverArmed = failureName === "BootStateNotSavedError" && !whereabouts.armedInBoot;
  return neverArmed ? { ...there, bootState: "untouched" } : there;
}

/** After its agent has retracted a restart: it still runs its original system. */
export function afterRetraction(whereabouts: WhereaboutsRecord, now: string): WhereaboutsRecord {
  return whereabouts.location === "rebooting" ? movedTo(whereabouts, "original", now) : whereabouts;
}

export interface Contact {
  environment: AgentSystem;
  bootId: string | undefined;
}

/**
 * The machine after its agent has connected. An agent can connect once more while its system shuts down, so
 * only another boot proves that the machine is back.
 */
export function afterConnect(
  whereabouts: WhereaboutsRecord,
  contact: Contact,
  now: string,
): WhereaboutsRecord {
  if (contact.environment === "boot-environment") return movedTo(whereabouts, "boot-environment", now);
  return isBack(whereabouts, contact) ? movedTo(whereabouts, "original", now) : whereabouts;
}

/** Whether the report proves that it has been restarted since it was armed and runs its original system. */
export function isBack(
  { location, armedInBoot }: WhereaboutsRecord,
  { environment, bootId }: Contact,
): boolean {
  if (environment !== "original") return false;
  if (armedInBoot && bootId) return bootId !== armedInBoot;
  // A machine that was not armed was only ever asked to restart out of the boot environment.
  return (
    location === "boot-environment" || location === "unknown" || (location === "rebooting" && !armedInBoot)
  );
}

/** Whether it is known to be and to start as before: nothing was touched, or a receipt confirms it. */
export function isAsItWas(whereabouts: Whereabouts): boolean {
  return !isAway(whereabouts) && whereabouts.bootState !== "unconfirmed";
}

/**
 * Whether it may be in its boot environment: it was armed, and its boot state has not been confirmed since.
 */
export function mayHaveLeft({ bootState }: Whereabouts): boolean {
  return bootState === "armed" || bootState === "restored";
}

/**
 * The machine at the end of its conversion. If the original system has not reported by then, its location
 * becomes `unknown`. An armed machine stays armed, because no report says that it was disarmed.
 */
export function atEnd(whereabouts: WhereaboutsRecord, lastHeardAt: string): WhereaboutsRecord {
  const { location, bootState } = whereabouts;
  return {
    ...whereabouts,
    ...(location === "original"
      ? {}
      : { location: "unknown" as const, since: location === "unknown" ? whereabouts.since : lastHeardAt }),
    bootState: bootState === "restored" ? "unconfirmed" : bootState,
  };
}

function movedTo(
  whereabouts: WhereaboutsRecord,
  location: WhereaboutsRecord["location"],
  now: string,
): WhereaboutsRecord {
  return whereabouts.location === location ? whereabouts : { ...whereabouts, location, since: now };
}
