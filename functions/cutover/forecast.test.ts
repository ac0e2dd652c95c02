import { beforeEach, expect, test } from "vitest";
import { plan, succeeded } from "#shared/domain/command.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { aCutover } from "#shared/domain/testing/cutover-record.ts";
import { aRecovery } from "#shared/domain/testing/records.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import { World } from "../testing/world.ts";
import { freshForecast } from "./forecast.ts";

let world: World;
const ADAPTATION = {
  sourceDisks: [],
  wanted: {
    ...{ diskBus: "sata", firmware: "bios", cardModel: "virtio", cards: [] },
    ...{ machineId: "kept", hostKeys: "kept", purpose: "production" },
  },
} as const satisfies CutoverRecord["adaptation"];
const START = Date.parse("2030-01-01T00:00:00.000Z");

beforeEach(async () => {
  world = await World.start();
  await world.store.cutovers.add(aCutover());
});

/** A recovery on the target host, whose commands took this number of seconds. */
async function recovered(
  id: string,
  sourceId: string,
  took: Record<string, number>,
  outputs: Record<string, object> = {},
) {
  await world.store.recoveries.add(aRecovery({ id, sourceId }));
  for (const [wanted, seconds] of Object.entries(took)) {
    const [kind, label] = wanted.split(" ");
    const at = (ms: number) => new Date(START + ms).toISOString();
    const request = {
      ...{ ownerId: id, agentId: "agt_target", kind: kind as CommandKind, input: {}, requestedBy: "ada" },
      ...{ label, round: 1 },
    };
    const { command } = plan(request, [], at(0));
    await world.store.commands.save(succeeded(command, outputs[wanted] ?? {}, at(seconds * 1000)));
  }
}

const part = async (name: string) =>
  (await freshForecast(await world.store.cutovers.withCommands(aCutover().id), world)).parts.find(
    (one) => one.part === name,
  );

test("what this source's own machines took is measured, and beats what others took", async () => {
  await recovered("rcv_1", "agt_source", { "bring-up-machine": 20 });
  await recovered("rcv_2", "agt_other", { "bring-up-machine": 200, "connect-machine": 3 });
  expect(await part("boot")).toMatchObject({ measured: true, seconds: 20 });
  expect(await part("connect")).toMatchObject({ measured: false, seconds: 3 });
});

test("a machine on another target host says nothing", async () => {
  const guess = await part("boot");
  await recovered("rcv_1", "agt_other", { "bring-up-machine": 200 });
  await world.store.recoveries.modify("rcv_1", (one) => ({ ...one, targetId: "agt_third" }));
  expect(await part("boot")).toEqual(guess);
});

test("a cutover that does not adapt its system forecasts nothing for that", async () => {
  expect(await part("adapt")).toBeUndefined();
});

test("computing an adaptation is not in the outage: a cutover does it before its window", async () => {
  await world.store.cutovers.modify(aCutover().id, (one) => ({ ...one, adaptation: ADAPTATION }));
  const shown = { changes: [], commands: [], notes: [], isApplied: true, stale: [] };
  await recovered(
    "rcv_1",
    "agt_source",
    { "adapt-machine": 270 },
    { "adapt-machine": { ...shown, computeSeconds: 165, applySeconds: 100 } },
  );
  expect(await part("adapt")).toMatchObject({ measured: true, seconds: 105 });
});

test("how long a source that was gone took to be fenced says nothing of stopping its services", async () => {
  const guess = await part("quiesce");
  await recovered("rcv_1", "agt_source", { "set-fence up": 200_000 });
  expect(await part("quiesce")).toEqual(guess);
});
