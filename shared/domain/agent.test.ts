import { expect, test } from "vitest";
import { introduced, sourceOf } from "./agent.ts";
import { anInventory, aSource } from "./testing/records.ts";

const started = { enrolledFrom: "boot-environment", environment: "boot-environment" } as const;
const AT = "2030-01-01T00:00:00.000Z";

test("a machine that was started by hand is ready while it is connected, has told its disks, and no conversion holds it", () => {
  const ready = aSource(started);
  expect(sourceOf(ready)).toMatchObject({ enrolledFrom: "boot-environment", coldCloningReady: true });
  const changes = [
    { enrolledFrom: "original" as const },
    { presence: { state: "disconnected" as const, at: 1 } },
    { revokedAt: AT },
    { inventory: undefined },
    { activeConversionId: "cnv_1" },
  ];
  for (const change of changes) expect(sourceOf({ ...ready, ...change }).coldCloningReady).toBe(false);
});

test("the inventory is of the system that the agent enrolled from, whichever other it is heard from", () => {
  const told = { agentVersion: "1", inventory: anInventory({ hostname: "causeway" }) };
  const inBootEnvironment = { ...told, environment: "boot-environment" as const };
  expect(introduced(aSource(), inBootEnvironment, AT).inventory?.hostname).toBe("pine");
  expect(introduced(aSource(started), inBootEnvironment, AT).inventory?.hostname).toBe("causeway");
});
