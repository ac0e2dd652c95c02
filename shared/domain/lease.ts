/**
 * The right to run of one source server: its own system has it, or a virtual machine on a target host, never
 * both. The control plane keeps it; `holding.ts` is the target host's side, `fence.ts` the source's.
 */
import * as z from "zod";
import { LeaseEndedError, WrongStateError } from "../errors.ts";
import { Timestamp } from "../protocol/common.ts";
import { AgentId, OwnerId } from "../protocol/ids.ts";
import { type Lease, LeaseState, SourceOff } from "../protocol/lease.ts";
import { secondsBetween } from "../seconds-between.ts";
import { move, type Transitions } from "./transitions.ts";

/** For how long a renewal lets the machine run, counted from the moment in which it was asked for. */
export const LEASE_SECONDS = 60;
/**
 * How much longer the source waits. It covers a clock of the target host that is slow by 1 % (0.6 s), clocks
 * of the control plane that differ by 5 s, and a guard that needs 5 s to pause the machine.
 */
export const LEASE_MARGIN_SECONDS = 15;

const leaseTransitions: Transitions<LeaseState> = {
  none: ["fencing"],
  fencing: ["held", "ending"],
  held: ["ending", "permanent"],
  ending: ["none"],
  // Only a person can take it back, who says that the machine is off.
  permanent: ["fencing"],
};

/** What the audit has of a change of who has the right to run. */
const LeaseMove = z.object({
  at: Timestamp,
  actor: z.string(),
  action: z.string(),
  details: z.record(z.string(), z.unknown()),
});
export type LeaseMove = z.infer<typeof LeaseMove>;

export const LeaseRecord = z.object({
  /** The source's: each has one lease. */
  id: AgentId,
  /** Counts the leases of this source. Everything that is sent for an earlier one has no effect. */
  term: z.int().nonnegative(),
  state: LeaseState,
  /** For whom the machine runs, and where. */
  ownerId: OwnerId.optional(),
  targetId: AgentId.optional(),
  sourceOff: SourceOff.optional(),
  /** By the control plane's clock. From then on the machine does not run, unless the lease is renewed. */
  expiresAt: Timestamp.optional(),
  /** The last one: the audit gets it at the latest before the next one. */
  moved: LeaseMove.optional(),
  version: z.int(),
});
export type LeaseRecord = z.infer<typeof LeaseRecord>;

interface Holder {
  ownerId: string;
  targetId: string;
}

/** The lease of a source that never moved. */
export function noLease(sourceId: string): LeaseRecord {
  return { id: sourceId, term: 0, state: "none", version: 0 };
}

/**
 * A new term begins: the source is to be fenced, and nothing runs under the lease yet. Repeating it changes
 * nothing. Throws `WrongStateError` if the right is with another one, unless that is a machine with a
 * permanent lease, and a person has said that it is off (`othersOff`).
 */
export function begunLease(
  lease: LeaseRecord,
  { ownerId, targetId, othersOff = false }: Holder & { othersOff?: boolean },
): LeaseRecord {
  if (lease.ownerId === ownerId && lease.state !== "none" && lease.state !== "ending") return lease;
  if (lease.state === "permanent" && !othersOff) throw runsPermanently(lease);
  const { id, term, version } = lease;
  return { id, term: term + 1, state: moved(lease, "fencing"), ownerId, targetId, version };
}

/**
 * The target host may ask for time to run. It has none before its first renewal. Repeating it changes
 * nothing. Throws `WrongStateError` if this owner has not begun the lease.
 */
export function grantedLease(lease: LeaseRecord, ownerId: string, sourceOff: SourceOff): LeaseRecord {
  requireOwner(lease, ownerId);
  if (lease.state === "held" || lease.state === "permanent") return lease;
  return { ...lease, state: moved(lease, "held"), sourceOff };
}

/**
 * The machine may run for `LEASE_SECONDS` more; under a permanent lease nothing changes. `now` must be read
 * after the request came. Throws `LeaseEndedError` for any other lease.
 */
export function renewedLease(
  lease: LeaseRecord,
  holder: Holder & { term: number },
  now: string,
): LeaseRecord {
  const isHeld = lease.state === "held" || lease.state === "permanent";
  const isHolder = lease.ownerId === holder.ownerId && lease.targetId === holder.targetId;
  if (!isHeld || !isHolder || lease.term !== holder.term) throw new LeaseEndedError(lease.id, holder.term);
  if (lease.state === "permanent") return lease;
  const expiresAt = new Date(Date.parse(now) + LEASE_SECONDS * 1000).toISOString();
  // The functions' clocks differ: what one of them promised stays.
  return lease.expiresAt !== undefined && lease.expiresAt >= expiresAt ? lease : { ...lease, expiresAt };
}

/** The right to run is the machine's from now on, without any renewal. Repeating it changes nothing. */
export function permanentLease(lease: LeaseRecord, ownerId: string): LeaseRecord {
  requireOwner(lease, ownerId);
  if (lease.state === "permanent") return lease;
  const { expiresAt: _, ...rest } = lease;
  return { ...rest, state: moved(lease, "permanent") };
}

/**
 * The lease is not renewed any more. Repeating it changes nothing, nor does ending one that never began.
 * Throws `WrongStateError` if it is permanent.
 */
export function endingLease(lease: LeaseRecord, ownerId: string): LeaseRecord {
  if (lease.ownerId !== ownerId || lease.state === "none" || lease.state === "ending") return lease;
  if (lease.state === "permanent") throw runsPermanently(lease);
  return { ...lease, state: moved(lease, "ending") };
}

/** Throws `WrongStateError` unless this owner's machine may run, by renewals or permanently. */
export function requireHeld({ id, ownerId, state }: LeaseRecord, wanted: string): void {
  if (ownerId === wanted && (state === "held" || state === "permanent")) return;
  throw new WrongStateError(
    `the machine of ${wanted} may not run in production: it does not have the lease of source ${id}`,
    `\`causeway lease ${id}\` shows who has it. Recover again with --production to move it.`,
  );
}

/** How long the source must still wait after the end of a lease: 0 if it may run. */
export function secondsUntilSource({ state, expiresAt }: LeaseRecord, now: string): number {
  if (state === "none") return 0;
  if (state !== "ending") return Number.POSITIVE_INFINITY;
  if (expiresAt === undefined) return 0;
  return Math.max(0, secondsBetween(now, expiresAt) + LEASE_MARGIN_SECONDS);
}

/**
 * The source has the right to run again: the machine is off (`isOff`: the target host has said so after the
 * end of this term), or the lease has lapsed. Returns the same lease if it is too early for that.
 */
export function returnedLease(
  lease: LeaseRecord,
  { ownerId, isOff, now }: { ownerId: string; isOff: boolean; now: string },
): LeaseRecord {
  if (lease.ownerId !== ownerId || lease.state !== "ending") return lease;
  if (!isOff && secondsUntilSource(lease, now) > 0) return lease;
  const { id, term, version } = lease;
  return { id, term, state: moved(lease, "none"), version };
}

/** The lease, returned if its owner has given it back and it has lapsed since. */
export function lapsedLease(lease: LeaseRecord, now: string): LeaseRecord {
  return returnedLease(lease, { ownerId: lease.ownerId ?? "", isOff: false, now });
}

/** Someone at the source's console has taken the right back. What was sent for an earlier term is ignored. */
export function brokenLease(lease: LeaseRecord, term: number): LeaseRecord {
  if (lease.term !== term || lease.state === "none") return lease;
  const { id, version } = lease;
  return { id, term, state: "none", version };
}

/** The lease as the API shows it. */
export function leaseOf({ id, term, state, ownerId, targetId, sourceOff, expiresAt }: LeaseRecord): Lease {
  return { sourceId: id, term, state, ownerId, targetId, sourceOff, expiresAt };
}

function runsPermanently({ id, ownerId }: LeaseRecord): WrongStateError {
  return new WrongStateError(
    `the machine of ${ownerId} runs permanently in place of source ${id}`,
    "If it is to be replaced, switch it off, then ask for another recovery with the word that it is off.",
  );
}

function requireOwner({ id, ownerId, state }: LeaseRecord, wanted: string): void {
  if (ownerId === wanted) return;
  const message = `the lease of source ${id} is ${state} for ${ownerId ?? "the source itself"}`;
  throw new WrongStateError(message, whoHas(id));
}

function moved<S extends LeaseState>(lease: LeaseRecord, to: S): S {
  return move(leaseTransitions, `the lease of source ${lease.id}`, lease.state, to, whoHas(lease.id));
}

function whoHas(sourceId: string): string {
  return `\`causeway lease ${sourceId}\` shows who has the right to run. Wait until that recovery or cutover has ended, and ${LEASE_SECONDS + LEASE_MARGIN_SECONDS} s more; then ask again.`;
}
