import { expect, test } from "vitest";
import { aSource } from "#shared/domain/testing/records.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";
import * as agents from "./agents.ts";

async function start() {
  const world = await World.start();
  await world.enrolled();
  const { listSources, getSource, listTargets, getTarget, revokeAgent } = agents;
  const operations = { listSources, getSource, listTargets, getTarget, revokeAgent };
  const handler = apiHandler({ name: "api/agents", build: () => world, operations }, world.runtime);
  return { world, call: (route: string, id?: string) => request(handler, route, id ? { id } : {}) };
}

test("sources and targets are listed separately, newest first", async () => {
  const { world, call } = await start();
  await world.store.agents.add(aSource({ id: "agt_source2", certificateId: "e", name: "fir" }));
  const sources = (await call("GET /sources")).body.items as { id: string }[];
  expect(sources.map((source) => source.id)).toEqual(["agt_source2", "agt_source"]);
  const targets = (await call("GET /targets")).body.items as { id: string }[];
  expect(targets.map((target) => target.id)).toEqual(["agt_target"]);
});

test("a source is shown with its inventory and presence, but nothing internal", async () => {
  const { call } = await start();
  const { body } = await call("GET /sources/{id}", "agt_source");
  expect(body).toMatchObject({ id: "agt_source", presence: "connected", inventory: { hostname: "pine" } });
  expect(Object.keys(body)).not.toContain("certificateId");
});

test("an unknown id, or one of the other role, is not found", async () => {
  const { call } = await start();
  expect((await call("GET /sources/{id}", "agt_nobody")).status).toBe(404);
  expect((await call("GET /sources/{id}", "agt_target")).status).toBe(404);
  expect((await call("DELETE /agents/{id}", "agt_nobody")).status).toBe(404);
});

test("revoking an agent is permanent and audited once", async () => {
  const { world, call } = await start();
  const first = await call("DELETE /agents/{id}", "agt_source");
  world.nowMs += 1000;
  expect((await call("DELETE /agents/{id}", "agt_source")).body).toEqual(first.body);
  expect(world.registry.certificates.get("c".repeat(64))?.status).toBe("REVOKED");
  expect((await call("GET /sources/{id}", "agt_source")).body.presence).toBe("disconnected");
  expect(await world.audited()).toEqual(["ada agent-revoked agt_source done"]);
});

test("repeating a revocation that did not reach the broker completes it", async () => {
  const { world, call } = await start();
  world.outage.strike("revoke");
  expect((await call("DELETE /agents/{id}", "agt_source")).status).toBe(500);
  expect((await call("DELETE /agents/{id}", "agt_source")).status).toBe(200);
  expect(world.registry.certificates.get("c".repeat(64))?.status).toBe("REVOKED");
});
