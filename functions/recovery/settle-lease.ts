import { type LeaseRecord, returnedLease, secondsUntilSource } from "#shared/domain/lease.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { changeLease } from "./change-lease.ts";
import { orderFence } from "./order-fence.ts";

/**
 * If a source's lease was given back and has lapsed, or let nothing run, the source gets the right to run,
 * and the command to take its fence down. Returns the lease. Repeating it is harmless.
 */
export async function settleLease(sourceId: string, deps: CommandDeps): Promise<LeaseRecord> {
  const { store, clock } = deps;
  const lease = await store.leases.get(sourceId);
  const { ownerId, term } = lease;
  const end = { ownerId: ownerId ?? "", isOff: false, now: timestamp(clock) };
  // First, so that no interruption loses it: the lease has lapsed, whether or not that is noted.
  if (returnedLease(lease, end) !== lease) await orderFence(end.ownerId, { term, isUp: false }, deps);
  return changeLease(sourceId, (one) => returnedLease(one, end), { actor: "causeway" }, deps);
}

/**
 * For an owner that has given its lease back: settles it, and says after how many whole seconds to ask again;
 * 0 if it is settled. Repeating it is harmless.
 */
export async function settleReturn(
  { id, sourceId }: { id: string; sourceId: string },
  deps: CommandDeps,
): Promise<{ term: number; seconds: number }> {
  // Before the look, so that one that has not lapsed by then is asked for again.
  const now = timestamp(deps.clock);
  const lease = await settleLease(sourceId, deps);
  return { term: lease.term, seconds: lease.ownerId === id ? Math.ceil(secondsUntilSource(lease, now)) : 0 };
}
