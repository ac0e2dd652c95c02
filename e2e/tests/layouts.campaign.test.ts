/** Thousands of random disk layouts; `npm test` tries a few hundred of other seeds. */
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LayoutJudge, makeLayoutFolder } from "#agent/filesystems/testing/layouts/judge.ts";
import { isRoot } from "#agent/filesystems/testing/test-image.ts";

const FIRST_SEED = 10_000;
const LAYOUTS = 4000;
/** One row of the record: small enough that an interruption costs little. */
const ROW = 250;
/** One layout in eight is copied, mounted and checked. */
const COPIED_EVERY = 8;

const starts = Array.from({ length: LAYOUTS / ROW }, (_, row) => FIRST_SEED + row * ROW);

describe.skipIf(!isRoot)("no used byte is left out, for any earlier content of the disk", () => {
  let folder = "";
  let judge: LayoutJudge;

  beforeAll(async () => {
    folder = await makeLayoutFolder();
    judge = await LayoutJudge.create(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(starts.map((first) => ({ first, last: first + ROW - 1 })))(
    "seeds $first to $last",
    async ({ first, last }) => {
      const seeds = Array.from({ length: last - first + 1 }, (_, index) => first + index);
      const { count, shown } = await judge.failuresIn(seeds, { copiedEvery: COPIED_EVERY });
      expect(shown, `${count} of ${ROW} layouts`).toBe("");
    },
  );
});
