import { afterEach, beforeEach, expect, test } from "vitest";
import { newId } from "#shared/domain/id.ts";
import { runIdOf } from "#shared/domain/protection/run.ts";
import { RepositoryWorld, sparseDisk } from "../collection/testing/repository-world.ts";
import { World } from "../testing/world.ts";
import * as collectGarbage from "./collect-garbage.ts";
import * as listRepositories from "./list-repositories.ts";

const DAY_MS = 24 * 3_600_000;
let world: World;
let repository: RepositoryWorld;

beforeEach(async () => {
  world = await World.start();
  repository = await RepositoryWorld.start();
  await world.enrolled({ source: { id: "agt_1" } });
});
afterEach(() => repository[Symbol.asyncDispose]());

const input = { collectionId: "col_1", sourceId: "agt_1", slice: 0, dryRun: false };
const collect = (change: object = {}) => {
  const { objects, keys } = repository;
  return collectGarbage.run(
    { ...input, ...change },
    { store: world.store, clock: world.clock, objects, keys },
  );
};

async function withGarbage(): Promise<void> {
  await repository.addPoint("rp_1", sparseDisk(1));
  await repository.addPoint("rp_2", sparseDisk(2));
  await repository.mark("rp_1");
  repository.days(8);
}

test("the result is recorded and audited, and a repetition finds nothing more", async () => {
  await withGarbage();
  expect(await collect()).toEqual({ done: true });
  const [result] = (await world.store.collections.find("col_1")) ?? [];
  expect(result).toMatchObject({ sourceId: "agt_1", dryRun: false, living: 1, points: 1 });
  expect(result?.packs).toBeGreaterThan(1);
  expect(await collect()).toEqual({ done: true });
  expect(await world.store.collections.find("col_1")).toEqual([result]);
  expect(await world.audited()).toEqual(["causeway garbage-collected agt_1 done"]);
});

test("a dry run is recorded and not audited", async () => {
  await withGarbage();
  await collect({ dryRun: true });
  expect(await world.store.collections.find("col_1")).toMatchObject([{ dryRun: true, points: 1 }]);
  expect(await world.audited()).toEqual([]);
});

test("what is unexpected is recorded and audited, also of a dry run", async () => {
  await withGarbage();
  await repository.objects.putNew("sources/agt_1/points/rp_3", Buffer.from("false"));
  await collect({ dryRun: true });
  expect(await world.store.collections.find("col_1")).toMatchObject([
    { points: 0, packs: 0, problem: expect.stringContaining("rp_3") },
  ]);
  expect(await world.audited()).toEqual(["causeway garbage-collection-stopped agt_1 refused"]);
});

test("a source that the workflow gives up has the workflow's error in its result", async () => {
  await collect({ error: { Error: "States.Timeout", Cause: "" } });
  expect(await world.store.collections.find("col_1")).toMatchObject([
    { points: 0, problem: expect.stringMatching(/^it did not end: /) },
  ]);
});

test.each([
  ["conversion", (begun: number) => newId("cnv", begun, world.random(10))],
  ["protection run", (begun: number) => runIdOf("plan_1", begun)],
])("while a %s holds the source, only what was garbage before it began goes", async (_, idOf) => {
  await withGarbage();
  // Its id has the time of its start: two days ago, when the mark was six days old.
  const heldBy = idOf(repository.clock.now() - 2 * DAY_MS);
  await world.store.agents.modify("agt_1", (agent) => ({ ...agent, heldBy }));
  await collect();
  expect(await world.store.collections.find("col_1")).toMatchObject([{ living: 2, points: 0, packs: 0 }]);
});

test("every source is collected, or the one that is named", async () => {
  await world.store.agents.modify("agt_1", (agent) => ({ ...agent, revokedAt: "2030-01-01T00:00:00.000Z" }));
  expect(await listRepositories.run({}, world)).toEqual({ sourceIds: ["agt_1"] });
  expect(await listRepositories.run({ sourceId: "agt_1" }, world)).toEqual({ sourceIds: ["agt_1"] });
  await expect(listRepositories.run({ sourceId: "agt_9" }, world)).rejects.toThrow("agt_9");
});
