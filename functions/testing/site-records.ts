/** What a cutover's site begins with. */
import { newPlan } from "#shared/domain/protection/plan.ts";
import { aBootImage, aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { restartable } from "#shared/domain/testing/restartable-source.ts";
import { NewPlan } from "#shared/protocol/protection.ts";
import { measuredColdClone } from "./measured-cold-clone.ts";
import { measuredRecovery } from "./measured-recovery.ts";
import { targetDevice } from "./signing-target.ts";
import { sourceDevice } from "./site-source.ts";
import type { World } from "./world.ts";

export const planId = "plan_01jd3v8q6m4x2k7zt5w9h0n1yb";

/**
 * A source that was recovered on the target host before, and its plan with these changes, which has a standby
 * there. `isRestartable`: it was restarted into a boot environment before, too.
 */
export async function addSiteRecords(
  world: World,
  { plan, isRestartable }: { plan: object; isRestartable: boolean },
): Promise<void> {
  const { store, clock } = world;
  const { network } = restartable;
  const facts = { hostname: "pine", disks: [aDisk("vda")], fencedServices: ["db.service"], network };
  const inventory = anInventory({ ...facts, ...(isRestartable ? restartable : {}) });
  const { certificateId, certificatePem } = await sourceDevice();
  const target = { certificatePem: (await targetDevice()).certificatePem };
  await world.enrolled({ source: { inventory, planId, certificateId, certificatePem }, target });
  if (isRestartable) {
    await store.bootImages.add(aBootImage());
    await measuredColdClone(store);
  }
  const wanted = { sourceId: "agt_source", intervalSeconds: 3600, standbyTargetId: "agt_target", ...plan };
  const given = { id: planId, requestedBy: "ada", now: clock.now() };
  await measuredRecovery(store, { id: "rcv_rehearsal", sourceId: "agt_source" });
  await store.plans.add({ ...newPlan(NewPlan.parse(wanted), given), state: "active" });
}
