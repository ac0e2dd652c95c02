/** What of a plan stays as it is while a cutover of its source is under way. */
import { expect, test } from "vitest";
import * as plans from "../api/plans.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { planId } from "../testing/site-records.ts";
import { request, type TestRequest } from "../testing/world.ts";

const { handler: _, ...operations } = plans;

const removals: [string, TestRequest][] = [
  ["DELETE /plans/{id}", {}],
  ["DELETE /plans/{id}", { query: { standby: "forget", dryRun: "true" } }],
  ["DELETE /plans/{id}/standby", {}],
  ["PATCH /plans/{id}", { body: { standbyTargetId: null } }],
];

async function ask(site: CutoverSite, route: string, options: TestRequest) {
  const handler = apiHandler({ name: "api/plans", build: () => site.deps, operations }, site.world.runtime);
  return request(handler, route, { id: planId }, options);
}

test.each(removals)(
  "%s %j is refused in the outage of a cutover, which needs the standby, and says how that ends",
  async (route, options) => {
    const site = await CutoverSite.start();
    const call = () => ask(site, route, options);
    site.acts = { "bring-up-machine": ["silent"] };
    const id = await site.create();
    await site.passUntil("01:01");
    const before = await site.world.store.plans.get(planId);
    expect(await call()).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining(id), hint: expect.stringContaining("cutover rollback") },
    });
    expect(await site.world.store.plans.get(planId)).toEqual(before);
    await site.passUntil("02:30");
    expect((await call()).status).toBe(200);
  },
);

test.each(removals)(
  "%s %j is refused while a cutover waits for its window, and allowed once that is cancelled",
  async (route, options) => {
    const site = await CutoverSite.start();
    const id = await site.create();
    const before = await site.world.store.plans.get(planId);
    expect(await ask(site, route, options)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining(id), hint: expect.stringContaining(`cutover cancel ${id}`) },
    });
    expect(await site.world.store.plans.get(planId)).toEqual(before);
    await site.api("POST /cutovers/{id}/cancel", id);
    expect((await ask(site, route, options)).status).toBe(200);
  },
);

test("the plan's limits of the bandwidth hold before the outage, and not in it", async () => {
  const windows = [{ from: "00:00", to: "06:00", bytesPerSecond: 1000 }];
  const site = await CutoverSite.start({ bandwidthLimitBytesPerSecond: 500, bandwidthHours: windows });
  const limits: unknown[] = [];
  const { obey } = site;
  site.obey = async (agentId, message) => {
    if (message.type === "command" && message.kind === "take-recovery-point") {
      const { bandwidthLimitBytesPerSecond: limit, bandwidthHours: hours } = message.input as Record<
        string,
        unknown
      >;
      limits.push({ limit, hours: hours !== undefined });
    }
    await obey(agentId, message);
  };
  const id = await site.create();
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  const limited = { limit: 500, hours: true };
  expect(limits).toEqual([limited, limited, { limit: undefined, hours: false }]);
});
