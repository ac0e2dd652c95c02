import { expect, test } from "vitest";
import type { TakenDisk } from "#shared/protocol/taken-point.ts";
import { run as recordRecoveryPoint } from "../tasks/record-recovery-point.ts";
import { finish, fire, protect, runs, taken, world } from "../testing/protected-source.ts";

const alarm = () => world.store.alarms.find({ kind: "tracker-wrong", subject: "agt_source" });
const tracked = { ...taken, mode: "tracked" as const };
const wrong = { ...taken, consistency: "not" as const, trackerDisagreements: 2 };

/** The next run of the plan has taken a point of these disks. */
async function point(...disks: TakenDisk[]): Promise<string> {
  await fire();
  const { id, pointId } = (await runs()).at(-1) ?? expect.unreachable();
  for (const _ of "12") await recordRecoveryPoint({ ownerId: id, disks }, world);
  await finish(id, { disks });
  return pointId;
}

test("a tracker that was wrong raises an alarm with the disk, the points not to rely on, and the remedy", async () => {
  await protect();
  await point(tracked);
  expect(await alarm()).toBeUndefined();
  const pointId = await point(wrong, { ...tracked, name: "vdb" });
  expect(await alarm()).toMatchObject({
    ...{ state: "open", sourceId: "agt_source", details: { pointId, disks: ["vda"] } },
    cause: expect.stringMatching(`vda \\(2 blocks of the sample\\).*${pointId} is not consistent`),
    action: expect.stringContaining("causeway plan PLAN run"),
  });
  expect((await runs()).at(-1)?.result?.disks).toMatchObject([
    { name: "vda", trackerDisagreements: 2 },
    { name: "vdb", trackerDisagreements: 0 },
  ]);
  expect(world.topic.notices).toEqual(["raised tracker-wrong agt_source"]);
});

test("the alarm stays during the scan, and clears once all of its disks are tracked again and agree", async () => {
  await protect();
  const other = { ...wrong, name: "vdb" };
  await point(wrong, other);
  await point(taken, { ...taken, name: "vdb" });
  await point(tracked, { ...taken, name: "vdb" });
  await point(tracked);
  expect((await alarm())?.state).toBe("open");
  await point(tracked, { ...tracked, name: "vdb" });
  expect(await alarm()).toMatchObject({ state: "cleared", clearedBy: "causeway" });
  await point(tracked);
  expect(world.topic.notices).toEqual([
    "raised tracker-wrong agt_source",
    "cleared tracker-wrong agt_source",
  ]);
});

test("a notice that cannot be sent fails the step, and its repetition sends it", async () => {
  await protect();
  await fire();
  const { id } = (await runs()).at(-1) ?? expect.unreachable();
  world.outage.strike("publish");
  const record = () => recordRecoveryPoint({ ownerId: id, disks: [wrong] }, world);
  await expect(record()).rejects.toThrow();
  expect((await alarm())?.state).toBe("open");
  await record();
  expect(world.topic.notices).toEqual(["raised tracker-wrong agt_source"]);
  expect((await alarm())?.unsent).toEqual([]);
});
