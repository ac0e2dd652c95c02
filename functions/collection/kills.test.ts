import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "#agent/filesystems/testing/layouts/random.ts";
import { whyUntestable } from "#agent/tracking/testing/tracked-disk.ts";
import { KilledMachine } from "./testing/kills/killed-machine.ts";

const KILLED_POINTS = 14;
const reason = whyUntestable();

describe.skipIf(reason !== undefined)(`a machine under load ${reason ? `(${reason})` : ""}`, () => {
  let machine: KilledMachine;
  beforeAll(async () => {
    machine = await KilledMachine.start(new Random(1));
  });
  afterAll(() => machine[Symbol.asyncDispose]());

  test("whatever is killed while a point is taken, each point is the disk of one instant and stays whole", async () => {
    for (let seed = 0; seed < KILLED_POINTS; seed++)
      expect(await machine.killAndFinish(new Random(seed)), `seed ${seed}`).toBe("");
    expect(await machine.faultsOfRepository()).toBe("");
    expect(machine.kills).toBeGreaterThan(KILLED_POINTS / 2);
    expect(machine.compared).toBeGreaterThan(KILLED_POINTS / 2);
  }, 900_000);
});
