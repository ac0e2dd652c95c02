/** The tracker against a model: whatever happens between writes and reads, no changed block is missed. */
import { describe, expect, test } from "vitest";
import { differingAfter } from "./testing/interleaving.ts";
import { TrackedDisk, whyUntestable } from "./testing/tracked-disk.ts";

const reason = whyUntestable();
const INTERLEAVINGS = 100;

describe.skipIf(reason !== undefined)(`the tracker on loop devices ${reason ? `(${reason})` : ""}`, () => {
  test.each([
    { first: 0, mountOptions: "noatime", hasDirectIo: false },
    { first: INTERLEAVINGS / 2, mountOptions: "noatime,discard", hasDirectIo: false },
  ])(
    "misses no changed block in 50 interleavings from seed $first ($mountOptions)",
    async ({ first, ...options }) => {
      await using disk = await TrackedDisk.create(options);
      const failures: string[] = [];
      for (let seed = first; seed < first + INTERLEAVINGS / 2; seed++)
        failures.push(await differingAfter(disk, seed));
      expect(failures.filter((failure) => failure !== "")).toEqual([]);
    },
  );
});
