import { beforeEach, expect, test } from "vitest";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";
import { getCollection, startCollection } from "./collections.ts";

let world: World;
const call = (route: string, path: Record<string, string> = {}, body?: unknown) => {
  const operations = { startCollection, getCollection };
  const handler = apiHandler({ name: "api/collections", build: () => world, operations }, world.runtime);
  return request(handler, route, path, body === undefined ? {} : { body });
};
const start = (body: unknown) => call("POST /collections", {}, body);
const get = (id: string) => call("GET /collections/{id}", { id });

beforeEach(async () => {
  world = await World.start();
  await world.enrolled();
});

test("a collection is started under its id with what was asked for, and audited", async () => {
  const { status, body } = await start({ sourceId: "agt_source", dryRun: true });
  expect(status).toBe(202);
  const id = String(body.id);
  expect(world.workflow.executions.get(id)?.input).toEqual({ sourceId: "agt_source", dryRun: true });
  expect(await world.audited()).toEqual([`ada garbage-collection-started ${id} done`]);
  expect((await get(id)).body).toEqual({ id, running: true, results: [] });
});

test("once it has ended it has its results, even if there are none", async () => {
  const id = String((await start({})).body.id);
  await world.workflow.stop(id);
  expect((await get(id)).body).toEqual({ id, running: false, results: [] });
  const result = { sourceId: "agt_source", dryRun: false, at: "2030-01-01T00:00:00.000Z" };
  await world.store.collections.add(id, { ...result, living: 2, points: 1, packs: 3, bytes: 9 });
  expect((await get(id)).body).toMatchObject({ results: [{ ...result, points: 1 }] });
});

test.each([{ sourceId: "agt_target" }, { sourceId: "agt_nobody" }])("%j is no source", async (body) => {
  expect((await start(body)).status).toBe(404);
  expect(world.workflow.executions.size).toBe(0);
});

test("a collection that never was is not found", async () => {
  expect((await get("col_1")).status).toBe(404);
});
