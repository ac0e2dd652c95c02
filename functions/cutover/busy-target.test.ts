/** A target host that is at work for others when a cutover could quiet its source. */
import { beforeEach, expect, test } from "vitest";
import { succeeded } from "#shared/domain/command.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

const DRILL = "drl_01jd3v8q6m4x2k7zt5w9h0n1yb";
const ID = `${DRILL}.materialise.1`;
let site: CutoverSite;

beforeEach(async () => {
  site = await CutoverSite.start();
});

/** The target host has been writing the disks of a drill since then. */
async function drills(startedAt: string): Promise<void> {
  await site.world.store.commands.save({
    ...{ id: ID, ownerId: DRILL, agentId: "agt_target", round: 1, attempt: 1, input: {}, requestedBy: "ada" },
    ...{ issuedAt: startedAt, startedAt, version: 0 },
    kind: "materialise",
    environment: "original",
    state: "running",
  });
}

test("a cutover keeps its standby up to date, and quiets its source once the target host has ended other work", async () => {
  const id = await site.create();
  await drills("2030-01-01T00:58:00.000Z");
  await site.passUntil("01:10");
  expect(await site.cutover(id)).toMatchObject({ state: "pre-sync" });
  expect(site.commands).not.toContain("set-fence up");
  const now = new Date(site.now).toISOString();
  await site.world.store.commands.modify(ID, (command) => succeeded(command, {}, now));
  await site.passUntil("01:30");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test("a cutover whose target host works for others until too little of the window is left says so, and touches nothing", async () => {
  const id = await site.create();
  await drills("2030-01-01T00:58:00.000Z");
  await site.passUntil("02:00");
  const { state, failure } = await site.cutover(id);
  expect(state).toBe("rolled-back");
  expect(failure?.message).toContain(`agt_target is still at work for ${DRILL}`);
  expect(site.commands).not.toContain("set-fence up");
});

test("work that has just begun is waited for in the outage, as it was when that was measured", async () => {
  const id = await site.create();
  await drills("2030-01-01T00:59:45.000Z");
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});
