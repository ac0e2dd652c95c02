/** Ten thousand random orders of events around a cutover; `npm test` tries others. */
import fc from "fast-check";
import { test } from "vitest";
import { conditions } from "#functions/testing/orders/conditions.ts";
import { walkOrder } from "#functions/testing/orders/walk.ts";

const FIRST_SEED = 1;
const ORDERS = 10_000;
/** One row of the record: small enough that an interruption costs little. */
const ROW = 500;

const seeds = Array.from({ length: ORDERS / ROW }, (_, row) => FIRST_SEED + row);

test.each(seeds)(
  `never two run, the deadline is kept, and nothing is copied again, in ${ROW} orders of seed %i`,
  async (seed) => {
    const property = fc.asyncProperty(conditions, async (one) => {
      await walkOrder(one);
    });
    await fc.assert(property, { seed, numRuns: ROW });
  },
);
