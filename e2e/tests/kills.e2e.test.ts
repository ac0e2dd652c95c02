/**
 * A plan's agent, freeze helper and control plane are killed at random moments. With the fourteen of
 * functions/collection/kills.test.ts these are twenty kills; `npm run test:e2e` has hundreds.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "#agent/filesystems/testing/layouts/random.ts";
import { whyUntestable } from "#agent/tracking/testing/tracked-disk.ts";
import { KilledSite } from "../testing/killed-site.ts";

const KILLED_RUNS = 6;
const reason = whyUntestable();

describe.skipIf(reason !== undefined)(`a plan of a disk in use ${reason ? `(${reason})` : ""}`, () => {
  let site: KilledSite;
  beforeAll(async () => {
    site = await KilledSite.start(new Random(1));
  });
  afterAll(() => site?.[Symbol.asyncDispose]());

  test("whatever is killed during a run, each point is the disk of one instant, and none is lost", async () => {
    for (let seed = 0; seed < KILLED_RUNS; seed++)
      expect(await site.killAndFinish(new Random(seed)), `seed ${seed}`).toBe("");
    expect(await site.faultsOfRepository()).toBe("");
    expect(site.kills).toBeGreaterThan(KILLED_RUNS / 2);
    expect(site.compared).toBeGreaterThan(KILLED_RUNS / 2);
  });
});
