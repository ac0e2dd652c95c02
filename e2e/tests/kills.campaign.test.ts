/**
 * Two hundred points of which each loses a process while it is taken, and two hundred runs of a plan, in
 * which that can be the control plane; `npm test` has twenty in all.
 */
import { describe, expect, test } from "vitest";
import { Random } from "#agent/filesystems/testing/layouts/random.ts";
import { whyUntestable } from "#agent/tracking/testing/tracked-disk.ts";
import { KilledMachine } from "../../functions/collection/testing/kills/killed-machine.ts";
import { KilledSite } from "../testing/killed-site.ts";

const FIRST_SEED = 1000;
const KILLS = 200;
/** One row of the record: small enough that an interruption costs little. */
const ROW = 20;

const rows = Array.from({ length: KILLS / ROW }, (_, row) => FIRST_SEED + row * ROW).map((first) => ({
  first,
  last: first + ROW - 1,
}));

const reason = whyUntestable();

describe.skipIf(reason !== undefined)("kills leave points that are right", () => {
  test.each(rows)("agent, freeze helper and collection: seeds $first to $last", async ({ first, last }) => {
    await using machine = await KilledMachine.start(new Random(first));
    for (let seed = first; seed <= last; seed++)
      expect(await machine.killAndFinish(new Random(seed)), `seed ${seed}`).toBe("");
    expect(await machine.faultsOfRepository()).toBe("");
    expect(machine.kills).toBeGreaterThan(ROW / 2);
    expect(machine.compared).toBeGreaterThan(ROW / 2);
  });

  test.each(rows)(
    "agent, freeze helper and control plane: seeds $first to $last",
    async ({ first, last }) => {
      await using site = await KilledSite.start(new Random(first));
      for (let seed = first; seed <= last; seed++)
        expect(await site.killAndFinish(new Random(seed)), `seed ${seed}`).toBe("");
      expect(await site.faultsOfRepository()).toBe("");
      expect(site.kills).toBeGreaterThan(ROW / 2);
      expect(site.compared).toBeGreaterThan(ROW / 2);
    },
  );
});
