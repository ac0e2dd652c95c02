/** An agent that is killed hundreds of times while it applies points; `npm test` does so twenty times. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { KilledStandby } from "#agent/standby/testing/kills.ts";

const FIRST_SEED = 1000;
const KILLS = 200;
/** One row of the record: small enough that an interruption costs little. */
const ROW = 50;

let standby: KilledStandby;
beforeAll(async () => {
  standby = await KilledStandby.create();
});
afterAll(() => standby[Symbol.dispose]());

const starts = Array.from({ length: KILLS / ROW }, (_, row) => FIRST_SEED + row * ROW);

test.each(starts.map((first) => ({ first, last: first + ROW - 1 })))(
  "a standby equals the point that is applied after a kill: seeds $first to $last",
  async ({ first, last }) => {
    for (let seed = first; seed <= last; seed++)
      expect(await standby.killAndFinish(seed), `seed ${seed}`).toBe("");
  },
);
