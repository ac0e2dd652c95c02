/** Which sources get a cutover. */
import { beforeEach, expect, test } from "vitest";
import { anInventory } from "#shared/domain/testing/records.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

let site: CutoverSite;

const fenced = (fencedServices?: string[]) =>
  site.world.store.agents.modify("agt_source", (one) => ({
    ...one,
    inventory: anInventory(fencedServices ? { fencedServices } : {}),
  }));
const machine = { hypervisor: "libvirt", cards: [{ link: { kind: "bridge", bridge: "br0" } }] };
const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "02:00", timeZone: "UTC" }];
const create = () =>
  site.api("POST /cutovers", undefined, {
    body: { sourceId: "agt_source", targetId: "agt_target", windows, machine },
  });

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("a source whose fence stops nothing gets no cutover, and is said what its agent needs", async () => {
  await fenced([]);
  expect(await create()).toMatchObject({
    status: 409,
    body: { name: "NothingFencedError", hint: expect.stringContaining("--fence-service NAME.service") },
  });
  expect((await site.world.store.cutovers.page({ limit: 10 })).items).toEqual([]);
  await fenced(["db.service"]);
  expect((await create()).status).toBe(202);
});

test("a source whose agent is older, and does not say what its fence stops, may have one", async () => {
  await fenced();
  expect((await create()).status).toBe(202);
});
