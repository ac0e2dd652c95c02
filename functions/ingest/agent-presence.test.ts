import { beforeEach, expect, test } from "vitest";
import { UNHEARD } from "#shared/domain/presence.ts";
import { World } from "../testing/world.ts";
import { run } from "./agent-presence.ts";

let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.enrolled({ source: { presence: UNHEARD } });
});

const presenceEvent = (eventType: string, timestamp: number, fields: object = {}) =>
  run(
    { clientId: "agt_source", eventType, timestamp, sessionIdentifier: "s1", versionNumber: 1, ...fields },
    world,
  );
const presence = async () => (await world.store.agents.get("agt_source")).presence.state;

test("presence follows the broker", async () => {
  await presenceEvent("connected", 1000);
  expect(await presence()).toBe("connected");
  expect((await world.store.agents.get("agt_source")).lastSeenAt).toBe("1970-01-01T00:00:01.000Z");
  await presenceEvent("disconnected", 2000);
  expect(await presence()).toBe("disconnected");
});

test("the late end of an older session does not hide a newer one", async () => {
  await presenceEvent("connected", 1000);
  await presenceEvent("connected", 3000, { sessionIdentifier: "s2" });
  await presenceEvent("disconnected", 3001);
  expect(await presence()).toBe("connected");
});

test.each(["AUTH_ERROR", "FORBIDDEN_ACCESS"])(
  "a session ended for %s is audited",
  async (disconnectReason) => {
    await presenceEvent("connected", 1000);
    await presenceEvent("disconnected", 2000, { disconnectReason, principalIdentifier: "c".repeat(64) });
    expect(await world.audited()).toEqual(["agt_source session-refused agt_source refused"]);
  },
);

test("the end of a revoked agent's session is not audited a second time, but its new attempts are", async () => {
  const principalIdentifier = "c".repeat(64);
  const revokedAt = "2030-01-01T00:00:00.000Z";
  await presenceEvent("connected", 1000);
  await world.store.agents.modify("agt_source", (agent) => ({ ...agent, revokedAt }));
  await presenceEvent("disconnected", 2000, { disconnectReason: "AUTH_ERROR", principalIdentifier });
  expect(await world.audited()).toEqual([]);
  await presenceEvent("connect_failed", 3000, { sessionIdentifier: "s2", principalIdentifier });
  expect(await world.audited()).toEqual(["agt_source connect-refused agt_source refused"]);
});

test("an agent that the broker refuses repeatedly is audited once an hour", async () => {
  const principalIdentifier = "c".repeat(64);
  const refused = (fields: object = {}) =>
    presenceEvent("connect_failed", 3000, {
      principalIdentifier,
      connectFailureReason: "AUTHORIZATION_FAILED",
      ...fields,
    });
  await Promise.all([refused(), refused(), refused()]);
  expect(await world.audited()).toHaveLength(1);
  // Another kind of attempt has its own entry.
  await refused({ clientId: "agt_target" });
  expect(await world.audited()).toHaveLength(2);
  world.nowMs += 3600_000;
  await refused();
  await refused();
  expect(await world.audited()).toHaveLength(3);
});

test("an agent that claims to be another is audited by its certificate", async () => {
  const connectFailureReason = "AUTHORIZATION_FAILED";
  await presenceEvent("connect_failed", 1000, { principalIdentifier: "d".repeat(64), connectFailureReason });
  expect(await world.audited()).toEqual(["agt_target connect-refused agt_source refused"]);
  expect(await presence()).toBe("unknown");
});

test("an event that is not a presence event, or belongs to no agent, is logged and ignored", async () => {
  await run({ hello: "world" }, world);
  await presenceEvent("connected", 1000, { clientId: "somebody" });
  expect(world.logged.map(({ level }) => level)).toEqual(["warn", "warn"]);
});
