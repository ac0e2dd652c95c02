import { endingLease, type LeaseRecord } from "#shared/domain/lease.ts";
import type { StoreDeps } from "../store/deps.ts";
import { changeLease } from "./change-lease.ts";

/**
 * Ends the owner's lease. Returns the source's, which is permanent if that was decided before. Repeating it
 * is harmless.
 */
export function endLease(
  { id, sourceId }: { id: string; sourceId: string },
  deps: StoreDeps,
): Promise<LeaseRecord> {
  const change = (lease: LeaseRecord) => (lease.state === "permanent" ? lease : endingLease(lease, id));
  return changeLease(sourceId, change, { actor: "causeway" }, deps);
}
