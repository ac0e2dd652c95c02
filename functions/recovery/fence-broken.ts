import { brokenLease } from "#shared/domain/lease.ts";
import type { BrokenFence } from "#shared/protocol/fence.ts";
import { clearFenceAlarm } from "../alarm/fence-failed.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { changeLease } from "./change-lease.ts";

/**
 * A source reports that a person at its console broke its fence: its machine's lease ends, and the audit gets
 * who did it and when. An alarm that the fence did not go up is cleared. Reports of an earlier lease, and
 * repetitions, change nothing.
 */
export async function fenceBroken(
  sourceId: string,
  { term, at: brokenAt, by }: BrokenFence,
  deps: ReportDeps,
): Promise<void> {
  const audited = { actor: sourceId, action: "fence-broken", details: { brokenAt, by } };
  await changeLease(sourceId, (one) => brokenLease(one, term), audited, deps);
  await clearFenceAlarm(sourceId, { term, isUp: true }, deps);
}
