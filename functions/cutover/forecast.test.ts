import { beforeEach, expect, test } from "vitest";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { SWITCH_OFF_ANSWER_SECONDS, SWITCH_OFF_WAIT_SECONDS } from "#shared/domain/cutover/outage-parts.ts";
import { runIdOf } from "#shared/domain/protection/run.ts";
import { aCutover } from "#shared/domain/testing/cutover-record.ts";
import { WorkflowFile } from "../../statemachines/testing/workflow-file.ts";
import { measuredCommands, measuredRecovery } from "../testing/measured-recovery.ts";
import { World } from "../testing/world.ts";
import { freshForecast } from "./forecast.ts";

let world: World;
const ADAPTATION = {
  sourceDisks: [],
  wanted: {
    ...{ diskBus: "sata", firmware: "bios", cardModel: "virtio", cards: [] },
    ...{ machineId: "kept", hostKeys: "kept", purpose: "production" },
  },
} as const satisfies CutoverRecord["adaptation"];

beforeEach(async () => {
  world = await World.start();
  await world.store.cutovers.add(aCutover());
});

type Took = Parameters<typeof measuredRecovery>[2];
type Adaptation = Parameters<typeof measuredRecovery>[3];
const recovered = (id: string, sourceId: string, took: Took, adaptation?: Adaptation) =>
  measuredRecovery(world.store, { id, sourceId }, took, adaptation);

const part = async (name: string) =>
  (await freshForecast(await world.store.cutovers.withCommands(aCutover().id), world)).parts.find(
    (one) => one.part === name,
  );

test("what this source's own machines took is measured, and beats what others took", async () => {
  await recovered("rcv_1", "agt_source", { "bring-up-machine": 20 });
  await recovered("rcv_2", "agt_other", { "clone-standby": 3, "bring-up-machine": 200 });
  expect(await part("boot")).toMatchObject({ measured: true, seconds: 20 });
  expect(await part("clone")).toMatchObject({ measured: false, guessedFrom: "other-sources", seconds: 3 });
});

test("what the workflow does between two commands is outage; the last copy and a wait are counted by themselves", async () => {
  await world.store.cutovers.add(aCutover({ id: "cut_2", sourceId: "agt_other" }));
  const took = {
    ...{ "set-fence up": 5, "clone-standby": 2, "define-machine": 1, "bring-up-machine": 20 },
    ...{ "set-fence lasting": 1, "switch-off": 1, "connect-machine": 3 },
  };
  await measuredCommands(world.store, "cut_2", took, { pauseSeconds: 0.5 });
  const seconds = { quiesce: 5, clone: 2, define: 1.5, boot: 20.5, connect: 4.5 };
  for (const [name, expected] of Object.entries(seconds))
    expect(await part(name), name).toMatchObject({ guessedFrom: "other-sources", seconds: expected });
});

test("what a run's workflow does besides its copies is in the last copy, as in the runs that waited for nothing", async () => {
  const planId = aCutover().planId;
  const { store } = world;
  // In three of them the target host was busy, or the source was away.
  for (const [index, besides] of [3, 27, 3, 26, 900].entries()) {
    const startedAt = Date.UTC(2030, 0, 1, index);
    const at = (seconds: number) => new Date(startedAt + seconds * 1000).toISOString();
    await store.runs.add({
      ...{ id: runIdOf(planId, startedAt), planId, sourceId: "agt_source", state: "completed" },
      ...{ trigger: "schedule", dueAt: at(0), startedAt: at(0), endedAt: at(6 + besides) },
      ...{ pointId: `rp_${index}`, pointRecorded: true, disks: ["vda"], allBlocks: false },
      ...{ allowInconsistent: false, requestedBy: "ada", version: 0 },
      result: {
        ...{ disks: [], consistency: "crash", bytesRead: 0, bytesStored: 0, changedBytes: 0, badRanges: 0 },
        ...{ seconds: 4, limitingStage: "read" },
        standby: { state: "applied", bytesWritten: 0, leavesRepaired: 0, seconds: 2 },
      },
    });
  }
  expect(await part("capture")).toMatchObject({ measured: true, seconds: 7 });
  expect(await part("apply")).toMatchObject({ measured: true, seconds: 2 });
});

test("a machine on another target host says nothing", async () => {
  const guess = await part("boot");
  await recovered("rcv_1", "agt_other", { "bring-up-machine": 200 });
  await world.store.recoveries.modify("rcv_1", (one) => ({ ...one, targetId: "agt_third" }));
  expect(await part("boot")).toEqual(guess);
});

test("a cutover that does not adapt its system forecasts nothing for that", async () => {
  expect(await part("adapt")).toBeUndefined();
});

test("computing an adaptation is not in the outage: a cutover does it before its window", async () => {
  await world.store.cutovers.modify(aCutover().id, (one) => ({ ...one, adaptation: ADAPTATION }));
  const took = { computeSeconds: 165, applySeconds: 100 };
  await recovered("rcv_1", "agt_source", { "adapt-machine": 270 }, took);
  expect(await part("adapt")).toMatchObject({ measured: true, seconds: 105 });
});

test("a machine of the source on another hypervisor, or of a very different shape, is no measurement", async () => {
  await recovered("rcv_1", "agt_source", { "clone-standby": 2, "bring-up-machine": 20 });
  await world.store.recoveries.modify("rcv_1", (one) => ({
    ...one,
    planned: { ...one.planned, hypervisor: "qemu", shape: { ...one.planned.shape, memoryMiB: 65_536 } },
  }));
  expect(await part("boot")).toMatchObject({ measured: false, guessedFrom: "another-machine", seconds: 20 });
  expect(await part("clone")).toMatchObject({ measured: true, seconds: 2 });
  const asked = await world.store.cutovers.withCommands(aCutover().id);
  expect((await freshForecast(asked, world)).advice).toContain("a machine that differs (hypervisor, memory)");
});

test("a source that is to shut down is waited for as the workflow does, also if one was away", async () => {
  expect(new WorkflowFile("synchronized-cutover").states).toMatchObject({
    SwitchOffSource: { TimeoutSeconds: SWITCH_OFF_ANSWER_SECONDS },
    AwaitSourceOff: { Seconds: SWITCH_OFF_WAIT_SECONDS },
  });
  expect(await part("switch-off")).toBeUndefined();
  await world.store.cutovers.modify(aCutover().id, (one) => ({ ...one, switchSourceOff: true }));
  expect(await part("switch-off")).toMatchObject({ measured: false, seconds: 31, low: 30, high: 90 });
  await recovered("rcv_1", "agt_source", { "switch-off": 2 });
  expect(await part("switch-off")).toMatchObject({ measured: true, seconds: 32 });
  await recovered("rcv_2", "agt_source", { "switch-off": 86_400 });
  expect((await part("switch-off"))?.seconds).toBeLessThanOrEqual(60);
});

test("how long a source that was gone took to be fenced says nothing of stopping its services", async () => {
  const guess = await part("quiesce");
  await recovered("rcv_1", "agt_source", { "set-fence up": 200_000 });
  expect(await part("quiesce")).toEqual(guess);
});
