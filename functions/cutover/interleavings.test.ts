/** What happens between two steps of a function that stops, begins or commits a cutover. */
import { beforeEach, expect, test } from "vitest";
import { failureOf, WrongStateError } from "#shared/errors.ts";
import * as moveCutoverLease from "../tasks/move-cutover-lease.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { beforeNextCall, interruptNthCall } from "../testing/interrupt-save.ts";
import { haltCutover } from "./stop-cutover.ts";
import { wakeCutover } from "./wake-cutover.ts";

let site: CutoverSite;

const keep = (cutoverId: string) => moveCutoverLease.run({ action: "keep", cutoverId }, site.deps);
const at = (time: number) => ({ ...site.deps, clock: { now: () => time } });
const deadlineOf = async (id: string) => Date.parse((await site.cutover(id)).deadlineAt ?? "");

/** Its machine is being checked. */
async function checking(): Promise<string> {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:00");
  expect(await site.cutover(id)).toMatchObject({ state: "checking" });
  return id;
}

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("one that commits while its window closes has committed, and is left to its workflow", async () => {
  const id = await checking();
  const deadline = await deadlineOf(id);
  beforeNextCall(site.world.store.cutovers, "modify", () => keep(id));
  await wakeCutover(id, at(deadline));
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
});

test("one that commits while its workflow fails ends as failed, and its machine is not switched off", async () => {
  const id = await checking();
  beforeNextCall(site.world.store.cutovers, "modify", () => keep(id));
  await haltCutover(id, failureOf(new WrongStateError("it failed")), site.deps);
  expect(await site.cutover(id)).toMatchObject({ state: "failed" });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
});

test.each([
  ["the deadline", async (id: string) => (await deadlineOf(id)) - site.now, "WindowClosedError"],
  ["the end of the machine's lease", async () => 60_000, "WrongStateError"],
] as const)("a commit that is repeated after %s is none", async (_, after, error) => {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:00");
  interruptNthCall(site.world.store.leases, "save", 1);
  await expect(keep(id)).rejects.toThrow("killed");
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  const late = at(site.now + (await after(id)));
  await expect(moveCutoverLease.run({ action: "keep", cutoverId: id }, late)).rejects.toThrow(
    expect.objectContaining({ name: error }),
  );
  expect(await site.lease()).toMatchObject({ state: "held" });
});

test("the deadline of a commit that was interrupted leads back, and so does an operator's word", async () => {
  const id = await checking();
  interruptNthCall(site.world.store.leases, "save", 1);
  await expect(keep(id)).rejects.toThrow("killed");
  await wakeCutover(id, at(await deadlineOf(id)));
  expect(await site.cutover(id)).toMatchObject({ state: "rolling-back" });
  await site.pass(60_000);
  expect(await site.cutover(id)).toMatchObject({
    state: "rolled-back",
    sourceServes: "yes",
    failure: { name: "WindowClosedError" },
  });
  expect(site.fence.isUp).toBe(false);
  const next = await site.create();
  await site.pass(15_000);
  interruptNthCall(site.world.store.leases, "save", 1);
  await expect(keep(next)).rejects.toThrow("killed");
  expect((await site.api("POST /cutovers/{id}/rollback", next)).status).toBe(202);
  await site.pass(60_000);
  expect(await site.cutover(next)).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
});

test("an operator's word comes too late for one that has committed, which completes", async () => {
  const id = await checking();
  site.acts = { "connect-machine": ["silent", "done"] };
  await site.connect("agt_target");
  await site.pass(15_000);
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  expect(await site.api("POST /cutovers/{id}/rollback", id)).toMatchObject({ status: 409 });
  await site.connect("agt_target");
  await site.pass(15_000);
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});
