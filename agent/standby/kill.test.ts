import { expect, test } from "vitest";
import { KilledStandby } from "./testing/kills.ts";

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

test("an agent that is killed at any moment finishes the same point, or the next, and the standby equals it", async () => {
  using standby = await KilledStandby.create();
  for (const seed of SEEDS) expect(await standby.killAndFinish(seed), `seed ${seed}`).toBe("");
});
