/** What of a plan stays as it is while a cutover of its source is under way. */
import { expect, test } from "vitest";
import * as plans from "../api/plans.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { planId } from "../testing/site-records.ts";
import { request } from "../testing/world.ts";

const { handler: _, ...operations } = plans;

test.each([
  ["DELETE /plans/{id}", {}],
  ["DELETE /plans/{id}/standby", {}],
  ["PATCH /plans/{id}", { body: { standbyTargetId: null } }],
])(
  "%s is refused in the outage of a cutover, which needs the standby, and says how that ends",
  async (route, options) => {
    const site = await CutoverSite.start();
    const call = async () => {
      const handler = apiHandler(
        { name: "api/plans", build: () => site.deps, operations },
        site.world.runtime,
      );
      return request(handler, route, { id: planId }, options);
    };
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
