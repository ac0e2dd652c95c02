import { expect, test } from "vitest";
import { aBootImage } from "#shared/domain/testing/records.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";
import { checkPreflight } from "./preflight.ts";

interface Rule {
  id: string;
  outcome: string;
}

async function start() {
  const world = await World.start();
  await world.enrolled();
  const handler = apiHandler(
    { name: "api/preflight", build: () => world, operations: { checkPreflight } },
    world.runtime,
  );
  const check = (body: object, id = "agt_source") =>
    request(handler, "POST /sources/{id}/preflight", { id }, { body });
  const outcomes = async (body: object) =>
    Object.fromEntries(((await check(body)).body.rules as Rule[]).map(({ id, outcome }) => [id, outcome]));
  return { world, check, outcomes };
}

test("a source that is ready passes every rule, and preflight changes nothing", async () => {
  const { world, check } = await start();
  const { status, body } = await check({ type: "hot", targetId: "agt_target" });
  expect(status).toBe(200);
  expect(body.ok).toBe(true);
  expect((body.rules as Rule[]).every(({ outcome }) => outcome === "pass")).toBe(true);
  expect((await world.store.agents.get("agt_source")).heldBy).toBeUndefined();
  expect(world.agents.sent).toEqual([]);
  expect(await world.audited()).toEqual([]);
});

test("the rules of a remote cold conversion check the newest boot image", async () => {
  const { world, outcomes } = await start();
  expect(await outcomes({ type: "remote-cold" })).toMatchObject({
    "boot-image": "fail",
    "disk-drivers": "unknown",
    "target-connected": "unknown",
  });
  await world.store.bootImages.add(aBootImage());
  expect(await outcomes({ type: "remote-cold", targetId: "agt_target" })).toMatchObject({
    "boot-image": "pass",
    "disk-drivers": "pass",
    "target-connected": "pass",
  });
  expect(await outcomes({ type: "remote-cold", bootImageId: "f".repeat(64) })).toMatchObject({
    "boot-image": "fail",
  });
});

test("a machine that was started by hand fails the rules of every type but its own", async () => {
  const { world, outcomes } = await start();
  expect(await outcomes({ type: "manual-cold" })).toMatchObject({ "started-by-hand": "fail" });
  const enrolledFrom = "boot-environment" as const;
  await world.store.agents.modify("agt_source", (source) => ({ ...source, enrolledFrom }));
  expect(await outcomes({ type: "hot" })).toMatchObject({ "own-system": "fail" });
  expect(await outcomes({ type: "remote-cold" })).toMatchObject({ "own-system": "fail" });
  const own = await outcomes({ type: "manual-cold", targetId: "agt_target" });
  expect(new Set(Object.values(own))).toEqual(new Set(["pass"]));
});

test("the rule for a held source names the conversion that holds it", async () => {
  const { world, check } = await start();
  await world.store.agents.modify("agt_source", (source) => ({ ...source, heldBy: "cnv_9" }));
  const { body } = await check({ type: "hot" });
  expect(body).toMatchObject({
    ok: false,
    rules: expect.arrayContaining([
      expect.objectContaining({ id: "source-held", message: expect.stringContaining("cnv_9") }),
    ]),
  });
});

test.each([
  ["an unknown source", { type: "hot" }, "agt_nobody", 404],
  ["a target as the source", { type: "hot" }, "agt_target", 404],
  ["an unknown target", { type: "hot", targetId: "agt_nobody" }, "agt_source", 404],
  ["an unknown type", { type: "tepid" }, "agt_source", 400],
])("%s is refused", async (_, body, id, status) => {
  const { check } = await start();
  expect((await check(body, id)).status).toBe(status);
});
