import { expect, test } from "vitest";
import { introduced, isEarlierStart, sourceOf } from "./agent.ts";
import { anInventory, aSource } from "./testing/records.ts";

const started = { enrolledFrom: "boot-environment", environment: "boot-environment" } as const;
const AT = "2030-01-01T00:00:00.000Z";

test("a machine that was started by hand is ready while it is connected, has reported its disks, and is not held by a conversion", () => {
  const ready = aSource(started);
  expect(sourceOf(ready)).toMatchObject({ enrolledFrom: "boot-environment", coldCloningReady: true });
  const changes = [
    { enrolledFrom: "original" as const },
    { presence: { state: "disconnected" as const, at: 1 } },
    { revokedAt: AT },
    { inventory: undefined },
    { heldBy: "cnv_1" },
  ];
  for (const change of changes) expect(sourceOf({ ...ready, ...change }).coldCloningReady).toBe(false);
});

test("an agent keeps the inventory of the system that it enrolled from, and ignores one from the other system", () => {
  const told = { agentVersion: "1", inventory: anInventory({ hostname: "causeway" }) };
  const inBootEnvironment = { ...told, environment: "boot-environment" as const };
  expect(introduced(aSource(), inBootEnvironment, AT).inventory?.hostname).toBe("pine");
  expect(introduced(aSource(started), inBootEnvironment, AT).inventory?.hostname).toBe("causeway");
});

test("a machine that was started by hand again is recognised by its approved network ports, if no other machine has them", () => {
  const gone = { state: "disconnected" as const, at: 1 };
  const before = aSource({ ...started, id: "agt_1", presence: gone, approvedPorts: ["b", "a"] });
  const now = aSource({
    ...started,
    id: "agt_2",
    enrolledAt: "2030-01-01T00:10:00.000Z",
    approvedPorts: ["a", "b"],
  });
  expect(isEarlierStart(before, now)).toBe(true);
  expect(isEarlierStart(now, before)).toBe(false);
  expect(isEarlierStart(now, now)).toBe(false);
  const others = [
    { enrolledFrom: "original" as const },
    { presence: { state: "connected" as const, at: 1 } },
    { approvedPorts: ["a"] },
    { restartedAs: "agt_3" },
    { approvedPorts: [] },
  ];
  for (const change of others) expect(isEarlierStart({ ...before, ...change }, now)).toBe(false);
  const unknown = { approvedPorts: undefined };
  expect(isEarlierStart({ ...before, ...unknown }, { ...now, ...unknown })).toBe(false);
});

test("the ports of an inventory make no machine an earlier start, for any agent can send them", () => {
  const inventory = anInventory({
    network: {
      interfaces: [
        {
          ...{ name: "eth0", macAddress: "a", kind: "ethernet", state: "up", mtuBytes: 1500, addresses: [] },
          configuration: { source: "unknown", method: "unknown" },
        },
      ],
      routes: [],
      dns: { servers: [], search: [] },
    },
  });
  const gone = { state: "disconnected" as const, at: 1 };
  const victim = aSource({ ...started, id: "agt_1", presence: gone, approvedPorts: ["a"], inventory });
  const forger = aSource({
    ...{ ...started, id: "agt_2", enrolledAt: "2030-01-01T00:10:00.000Z" },
    ...{ approvedPorts: ["c"], inventory },
  });
  expect(isEarlierStart(victim, forger)).toBe(false);
});
