/** Cutovers whose forecast rests on guesses, because no machine of the source was ever started. */
import { beforeEach, expect, test } from "vitest";
import { CutoverSite } from "../testing/cutover-site.ts";
import { measuredRecovery } from "../testing/measured-recovery.ts";

let site: CutoverSite;

const notices = () => site.world.topic.notices.filter((notice) => notice.includes("cutover"));
const alarms = async () => (await site.world.store.alarms.page({ limit: 10 })).items;

beforeEach(async () => {
  site = await CutoverSite.start();
  const elsewhere = { targetId: "agt_elsewhere" };
  await site.world.store.recoveries.modify("rcv_rehearsal", (one) => ({ ...one, ...elsewhere }));
});

test("it does not begin by itself, an alarm says what to measure, and a person's go begins it", async () => {
  const id = await site.create();
  await site.passUntil("01:01");
  const cutover = await site.cutover(id);
  expect(cutover).toMatchObject({ state: "waiting", forecast: { fits: true, basis: "guessed" } });
  expect(cutover.heldBack?.why).toContain("recover the source to a test network once");
  expect(await alarms()).toMatchObject([{ kind: "cutover-held", action: cutover.heldBack?.why }]);
  expect((await site.api("POST /cutovers/{id}/go", id)).status).toBe(202);
  await site.passUntil("01:02");
  expect(await site.cutover(id)).toMatchObject({ state: "completed", go: { by: "ada" } });
  expect(notices()).toEqual([`raised cutover-held ${id}`, `cleared cutover-held ${id}`]);
});

test("once a recovery has measured it, it begins by itself in its next window", async () => {
  const hours = { firstDay: "2030-01-01", timeZone: "UTC" };
  const windows = [
    { ...hours, from: "01:00", to: "02:00" },
    { ...hours, from: "03:00", to: "04:00" },
  ];
  const id = await site.create({ windows });
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "waiting", heldBack: {} });
  await measuredRecovery(site.world.store, { id: "rcv_2", sourceId: "agt_source" });
  await site.passUntil("03:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});
