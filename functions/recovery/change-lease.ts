import type { LeaseMove, LeaseRecord } from "#shared/domain/lease.ts";
import { timestamp } from "../conversion/deps.ts";
import { againIfChanged } from "../store/again-if-changed.ts";
import type { StoreDeps } from "../store/deps.ts";
import type { Store } from "../store/store.ts";

/**
 * Changes who has the right to run, by one conditional write, and audits exactly that: the lease itself keeps
 * what the audit is to have of its last change. So an interruption loses nothing: repeating the call adds the
 * entry, once, and so does the next change, before it writes. The entry's action is `lease-` and the new
 * state unless `by` names another one, and its details have those of `by`. `change` can run several times; a
 * lease that it returns as it is, is not written. Returns the lease, and throws what `change` throws.
 */
export async function changeLease(
  sourceId: string,
  change: (lease: LeaseRecord) => LeaseRecord,
  by: { actor: string; action?: string; details?: Record<string, unknown> },
  { store, clock }: StoreDeps,
): Promise<LeaseRecord> {
  return againIfChanged(async () => {
    const before = await store.leases.get(sourceId);
    await auditMove(before, store);
    const after = change(before);
    if (after === before) return before;
    const { actor, action = `lease-${after.state}` } = by;
    const details = { term: after.term, ownerId: after.ownerId ?? before.ownerId, ...by.details };
    const moved: LeaseMove = { at: timestamp(clock), actor, action, details };
    const saved = await store.leases.save({ ...after, moved });
    await auditMove(saved, store);
    return saved;
  });
}

async function auditMove({ id, moved }: LeaseRecord, store: Store): Promise<void> {
  if (moved) await store.audit.addOnce({ ...moved, subject: id, outcome: "done" });
}
