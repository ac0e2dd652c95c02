import { brokenLease } from "#shared/domain/lease.ts";
import type { BrokenFence } from "#shared/protocol/fence.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock } from "../ports.ts";
import type { Store } from "../store/store.ts";

/**
 * A source reports that a person at its console broke its fence: its machine's lease ends, and the audit gets
 * who did it and when. Reports of an earlier lease, and repetitions, change nothing.
 */
export async function fenceBroken(
  sourceId: string,
  { term, at: brokenAt, by }: BrokenFence,
  { store, clock }: { store: Store; clock: Clock },
): Promise<void> {
  const lease = await store.leases.get(sourceId);
  if (brokenLease(lease, term) === lease) return;
  // First, so that no interruption loses it.
  await store.audit.addOnce({
    at: timestamp(clock),
    actor: sourceId,
    action: "fence-broken",
    subject: sourceId,
    outcome: "done",
    details: { term, brokenAt, by, ownerId: lease.ownerId },
  });
  await store.leases.modify(sourceId, (one) => brokenLease(one, term));
}
