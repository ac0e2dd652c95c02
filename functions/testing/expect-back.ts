import { expect } from "vitest";
import type { CutoverSite } from "./cutover-site.ts";

/** The source serves as before, nothing of the machine is left, and the standby is kept. */
export async function expectBack(site: CutoverSite, id: string): Promise<void> {
  const cutover = await site.cutover(id);
  expect(cutover).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
  expect(site.fence.isUp).toBe(false);
  expect(site.machine).toEqual({ isOn: false, isConnected: false });
  expect(await site.lease()).toMatchObject({ state: "none" });
  expect((await site.world.store.plans.get(cutover.planId)).standbyPointId).toBeDefined();
  expect(site.workflowOf(id)).toMatchObject({ status: "FAILED", error: cutover.failure?.name });
  // A person who asked for it needs no alarm.
  const isAsked = cutover.failure?.name === "CutoverStoppedError";
  expect(site.world.topic.notices.includes(`raised cutover-held ${id}`)).toBe(!isAsked);
  // Only whether the target host has removed what it made is looked at.
  await site.pass(300_000);
  expect(site.world.timer.cutovers.size).toBe(0);
}
