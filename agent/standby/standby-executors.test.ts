/** The commands for standbys, together with those for a conversion's images. */
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AgentRecords } from "../commands/agent-records.ts";
import { ConversionImages, WrittenImages } from "../commands/conversion-images.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { verifyExecutor } from "../commands/verify.ts";
import { standbyExecutors } from "./standby-executors.ts";
import { difference, noise, PLAN, SOURCE, StandbyWorld } from "./testing/standby-world.ts";

const MIB = 2 ** 20;
const context = executionContext();
const owner = { ownerId: "run_1", planId: PLAN, sourceId: SOURCE };
const target = { ownerId: "cnv_1", planId: PLAN, sourceId: SOURCE };
let world: StandbyWorld;

beforeEach(() => {
  world = new StandbyWorld();
});
afterEach(() => world[Symbol.dispose]());

/** The executors of a target host, and its images. */
function host() {
  const { standbys } = world;
  const records = new AgentRecords({
    ...{ dataDir: join(world.dir, "agent"), folder: "written-images", suffix: ".json" },
    ...{ schema: WrittenImages, key: Buffer.alloc(32, 5) },
  });
  const images = new ConversionImages(join(world.dir, "images"), records);
  const repository = async () => world.repository;
  return {
    ...standbyExecutors({ repository, standbys, images, random: () => 0.5 }),
    verify: verifyExecutor({ repository, images }),
    images,
  };
}

test("a point is applied, checked, cloned and verified, and the clone is released without the standby", async () => {
  const agent = host();
  const content = { sda: noise(MIB + 512) };
  const { pointId } = await world.capture(content);
  const disks = [{ name: "sda", sizeBytes: MIB + 512 }];
  const applied = await agent["apply-to-standby"]({ ...owner, pointId, disks }, context);
  expect(applied).toMatchObject({
    pointId,
    bytesWritten: MIB + 512,
    disks: [{ ...disks[0], method: "changes" }],
  });
  const checked = await agent["check-standby"]({ ...owner, whole: true }, context);
  expect(checked).toMatchObject({
    pointId,
    disks: [{ method: "comparison", why: "asked-for" }],
    leavesChecked: 1,
  });
  const cloned = await agent["clone-standby"]({ ...target, pointId, disks }, context);
  expect(cloned.disks).toEqual([
    { ...disks[0], format: "raw", path: join(world.dir, "images/cnv_1/sda.raw") },
  ]);
  const next = { sda: noise(MIB) };
  const later = { pointId: (await world.capture(next)).pointId, disks: [{ name: "sda", sizeBytes: MIB }] };
  await agent["apply-to-standby"]({ ...owner, ...later }, context);
  const verified = await agent.verify({ ...target, pointId, disks: cloned.disks }, context);
  expect(verified).toMatchObject({ bytesVerified: MIB + 512 });
  await agent.images.remove("cnv_1");
  expect(difference(world.images(), next)).toBe("");
  await agent["forget-standby"]({ ownerId: "run_1", planId: PLAN }, context);
  expect(world.images()).toEqual({});
});

test("a point with other disks or of another source than was recorded, or a standby that is not there, is refused", async () => {
  const agent = host();
  const { pointId } = await world.capture({ sda: noise(MIB) });
  const disks = [{ name: "sda", sizeBytes: MIB }];
  for (const wanted of [
    { ...owner, pointId, disks: [{ name: "sdb", sizeBytes: MIB }] },
    { ...owner, pointId, disks: [{ name: "sda", sizeBytes: 512 }] },
    { ...owner, pointId, disks, sourceId: "agt_9" },
  ])
    await expect(agent["apply-to-standby"](wanted, context)).rejects.toMatchObject({
      name: "RecoveryPointUnexpectedError",
    });
  const missing = { name: "StandbyNotAtPointError" };
  await expect(agent["check-standby"]({ ...owner, whole: false }, context)).rejects.toMatchObject(missing);
  await expect(agent["clone-standby"]({ ...target, pointId, disks }, context)).rejects.toMatchObject(missing);
  expect(world.images()).toEqual({});
});
