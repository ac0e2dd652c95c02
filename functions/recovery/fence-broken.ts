import { brokenLease } from "#shared/domain/lease.ts";
import type { BrokenFence } from "#shared/protocol/fence.ts";
import type { Clock } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { changeLease } from "./change-lease.ts";

/**
 * A source reports that a person at its console broke its fence: its machine's lease ends, and the audit gets
 * who did it and when. Reports of an earlier lease, and repetitions, change nothing.
 */
export async function fenceBroken(
  sourceId: string,
  { term, at: brokenAt, by }: BrokenFence,
  deps: { store: Store; clock: Clock },
): Promise<void> {
  const audited = { actor: sourceId, action: "fence-broken", details: { brokenAt, by } };
  await changeLease(sourceId, (one) => brokenLease(one, term), audited, deps);
}
