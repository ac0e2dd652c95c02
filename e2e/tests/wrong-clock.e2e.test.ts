/**
 * An agent on a machine whose clock is wrong: a firmware clock in local time, or one that was never set.
 */
import { hash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agentApi } from "#agent/cloud/agent-api.ts";
import { openAgentCloud } from "#agent/cloud/agent-cloud.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { ControlPlane } from "../testing/control-plane.ts";

const HOUR_MS = 3_600_000;

let plane: ControlPlane;
let source: Identity;
let target: Identity;

beforeAll(async () => {
  plane = await ControlPlane.start();
  source = await plane.enrol("source", "pine");
  target = await plane.enrol("target", "oak");
});
afterAll(() => plane.close());

test.each([
  ["ahead", 9 * HOUR_MS],
  ["behind", -9 * HOUR_MS],
])("with a clock hours %s, it writes and reads its data, and reports correct times", async (_, offMs) => {
  const now = () => new Date(Date.now() + offMs);
  const cloud = openAgentCloud(source, { now, random: Math.random, log: console });
  const key = `sources/${source.enrolment.agentId}/boot-states/clock-${offMs}`;
  const bytes = Buffer.from("data");
  await cloud.store.put(key, bytes, { sha256: hash("sha256", bytes) });
  expect(await cloud.store.get(key)).toEqual(bytes);
  expect(Math.abs(cloud.now() - Date.now())).toBeLessThan(HOUR_MS);
});

test("hours ahead, a target host's request to the API is understood", async () => {
  const now = () => new Date(Date.now() + 9 * HOUR_MS);
  const api = agentApi(target, openAgentCloud(target, { now, random: Math.random, log: console }));
  // The API finds no conversion, so it accepted the signature.
  const answer = api.openOwnerData({ parameters: { id: "cnv_01m83vxcvf83cf2713sjg890y9" } });
  await expect(answer).rejects.toMatchObject({ problem: { status: 404 } });
});
