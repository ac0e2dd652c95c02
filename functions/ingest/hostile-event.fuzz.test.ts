/** Hostile events from agents and clients of the broker, in any number. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { aConversion, anInventory } from "#shared/domain/testing/records.ts";
import { hostileValue, mutated } from "#shared/protocol/testing/mutations.ts";
import { dispatch } from "../conversion/dispatch.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { World } from "../testing/world.ts";
import { run as takeEvent } from "./agent-events.ts";
import { run as takePresence } from "./agent-presence.ts";

const AT = "2030-01-01T00:00:01.000Z";
const commandId = "cnv_1.verify.1";
const failure = { name: "DiskNotFoundError", message: "m", hint: "h", retryable: false };
const events = [
  {
    type: "agent-connected",
    at: AT,
    agentVersion: "1",
    bootId: "boot-1",
    environment: "original",
    inventory: anInventory(),
  },
  {
    type: "command-progressed",
    at: AT,
    commandId,
    progress: { bytesDone: 1, bytesTotal: 2, rateBytesPerSecond: 1 },
  },
  { type: "command-succeeded", at: AT, commandId, output: { bytesVerified: 7, seconds: 1 } },
  { type: "command-failed", at: AT, commandId, failure },
].map((event) => ({ agentId: "agt_target", event }));
const presence = {
  clientId: "agt_target",
  timestamp: 1_893_456_000_000,
  eventType: "connect_failed",
  sessionIdentifier: "s",
  principalIdentifier: "d".repeat(64),
  connectFailureReason: "AUTH_ERROR",
};

/** One world for all runs, so that its audit shows the effect of a flood. */
async function start() {
  const world = await World.start();
  await world.enrolled();
  await world.store.conversions.add(aConversion());
  world.steps.waiting.add("token");
  const request = {
    ownerId: "cnv_1",
    agentId: "agt_target",
    kind: "verify" as const,
    round: 1,
    input: {},
  };
  await dispatch({ ...request, taskToken: "token" }, world);
  return world;
}

const context = { getRemainingTimeInMillis: () => 10_000 } as never;

test("any input from an agent is accepted or refused and never retried, and refusals add few items", async () => {
  const world = await start();
  const handle = eventHandler(
    { name: "ingest/agent-events", build: () => world, run: takeEvent },
    world.runtime,
  );
  const hostile = fc.oneof(...events.map(mutated), hostileValue);
  await fc.assert(
    fc.asyncProperty(hostile, async (event) => {
      await handle(event, context);
    }),
    { numRuns: 400 },
  );
  // One for each agent, reason and hour. A mutated topic is another agent; the broker's policy prevents that.
  const refusals = (await world.audited()).filter((line) => /^agt_target event-refused/.test(line));
  expect(refusals.length).toBeLessThanOrEqual(6);
});

test.each([1.5, -1, 2 ** 53 - 1, 8.64e15])(
  "a client seen at %d leaves its agent's record readable",
  async (timestamp) => {
    const world = await start();
    await takePresence({ ...presence, eventType: "disconnected", timestamp }, world);
    expect(await world.store.agents.find("agt_target")).toMatchObject({ presence: { state: "connected" } });
  },
);

test("any report of the broker about clients is accepted or refused, and never retried", async () => {
  const world = await start();
  const handle = eventHandler(
    { name: "ingest/agent-presence", build: () => world, run: takePresence },
    world.runtime,
  );
  const types = ["connected", "disconnected", "connect_failed"].map((eventType) => ({
    ...presence,
    eventType,
  }));
  await fc.assert(
    fc.asyncProperty(fc.oneof(...types.map(mutated), hostileValue), async (event) => {
      await handle(event, context);
    }),
    { numRuns: 400 },
  );
});
