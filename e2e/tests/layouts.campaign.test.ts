/** Thousands of random disk layouts; `npm test` tries a few hundred of other seeds. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LayoutJudge } from "#agent/filesystems/testing/layouts/judge.ts";
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
    // In memory where that is possible: many tools wait until their output is on the disk.
    folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "layouts-"));
    judge = await LayoutJudge.create(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(starts.map((first) => ({ first, last: first + ROW - 1 })))(
    "seeds $first to $last",
    async ({ first, last }) => {
      const failures: string[][] = [];
      for (let seed = first; seed <= last; seed++) {
        const problems = await judge.problemsOf(seed, { copies: seed % COPIED_EVERY === 0 });
        if (problems.length > 0) failures.push(problems);
      }
      expect(failures.slice(0, 5).flat().join("\n"), `${failures.length} of ${ROW} layouts`).toBe("");
    },
  );
});
