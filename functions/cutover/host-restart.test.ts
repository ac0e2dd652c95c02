/** A target host that restarts between the commit of a cutover and the connection of its machine. */
import { beforeEach, expect, test } from "vitest";
import { CutoverSite } from "../testing/cutover-site.ts";

let site: CutoverSite;

beforeEach(async () => {
  site = await CutoverSite.start();
  site.onCall = (_, payload) => {
    if ((payload as { action?: string }).action === "keep") site.machine.isOn = false;
  };
});

test("a machine that is off when it is connected is started and has to answer again", async () => {
  const id = await site.create({ check: { kind: "tcp", host: "192.0.2.7", port: 5432 } });
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(site.commands.slice(-3)).toEqual([
    ...["connect-machine", "bring-up-machine again", "bring-up-machine connected"],
  ]);
  expect(site.inputs["bring-up-machine again"]).toMatchObject({
    check: { kind: "console" },
    lease: { term: 1 },
  });
  expect(site.machine).toEqual({ isOn: true, isConnected: true });
});

test("a cutover whose machine does not come up again is not completed", async () => {
  site.acts = { "bring-up-machine again": [{ fails: "MachineSilentError" }] };
  const id = await site.create();
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "failed", failure: { name: "MachineSilentError" } });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
  expect(site.world.topic.notices).toContain(`raised cutover-held ${id}`);
});
