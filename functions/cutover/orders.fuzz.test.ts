import fc from "fast-check";
import { expect, test } from "vitest";
import { conditions } from "../testing/orders/conditions.ts";
import { walkOrder } from "../testing/orders/walk.ts";

/** `npm run fuzz` tries more, and so does a campaign of `npm run test:e2e`. */
const RUNS = 1000;

test("whatever is lost, late, repeated, killed or said: never two run, the deadline is kept, nothing is copied again, and one runs within the bound", {
  timeout: 600_000,
}, async () => {
  const ends = new Set<string>();
  const property = fc.asyncProperty(conditions, async (one) => {
    ends.add((await walkOrder(one)).state);
  });
  await fc.assert(property, { numRuns: RUNS });
  for (const end of ["completed", "rolled-back", "cancelled"]) expect(ends).toContain(end);
});
