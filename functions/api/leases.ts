import { requireRole } from "#shared/domain/agent.ts";
import { isTargetOf } from "#shared/domain/command-owner.ts";
import { leaseOf, renewedLease } from "#shared/domain/lease.ts";
import { ForbiddenError } from "#shared/errors.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const handler = apiHandler({
  name: "api/leases",
  build: buildStore,
  operations: { getLease, renewLease },
});

export async function getLease(
  { path }: Call<"getLease">,
  { store }: StoreDeps,
): Promise<Answer<"getLease">> {
  requireRole(await store.agents.find(path.id), "source", path.id);
  return leaseOf(await store.leases.get(path.id));
}

/**
 * Only for the target host of the owner, and only while it holds the lease. Repeating it lets the machine run
 * longer, which only makes the source wait.
 */
export async function renewLease(
  { path, body, actor }: Call<"renewLease">,
  { store, clock }: StoreDeps,
): Promise<Answer<"renewLease">> {
  const agent = await store.agents.findByCertificate(actorName(actor));
  const owner = await store.owners.get(path.id);
  if (!isTargetOf(agent, owner))
    throw new ForbiddenError(`only the target host of ${path.id} may renew its lease`);
  const holder = { ownerId: path.id, targetId: agent.id, term: body.term };
  const lease = await store.leases.modify(owner.sourceId, (one) =>
    renewedLease(one, holder, timestamp(clock)),
  );
  return { isPermanent: lease.state === "permanent" };
}
