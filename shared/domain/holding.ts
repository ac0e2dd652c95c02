/** A lease as the target host has it. Times are of a clock of that host that no one sets. */
import { LEASE_SECONDS } from "./lease.ts";

export interface Holding {
  term: number;
  /** The machine may run until then: milliseconds of the host's own clock. */
  untilMs: number;
  /** The lease of this term has ended: nothing that arrives later lets the machine run. */
  isClosed: boolean;
}

/** The machine is to run under this term, but may not yet. An earlier term has no effect. */
export function heldTerm(holding: Holding | undefined, term: number): Holding {
  if (holding && term <= holding.term) return holding;
  return { term, untilMs: Number.NEGATIVE_INFINITY, isClosed: false };
}

/**
 * The control plane has renewed the lease. `sentAtMs` was read before the request went out, so that the
 * answer's way does not count. An answer for another term has no effect, and a late one shortens nothing.
 */
export function extendedHolding(
  holding: Holding,
  renewal: { term: number; sentAtMs: number; isPermanent: boolean },
): Holding {
  if (holding.isClosed || renewal.term !== holding.term) return holding;
  const untilMs = renewal.isPermanent ? Number.POSITIVE_INFINITY : renewal.sentAtMs + LEASE_SECONDS * 1000;
  return untilMs > holding.untilMs ? { ...holding, untilMs } : holding;
}

/** The term has ended for this host. Keep this before the control plane gets the answer. */
export function closedHolding(holding: Holding | undefined, term: number): Holding {
  if (holding && holding.term > term) return holding;
  return { term, untilMs: Number.NEGATIVE_INFINITY, isClosed: true };
}

export function mayRun({ untilMs, isClosed }: Holding, nowMs: number): boolean {
  return !isClosed && nowMs < untilMs;
}
