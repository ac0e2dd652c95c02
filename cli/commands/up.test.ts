import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordedRun } from "../testing/recorded-run.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "up-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a file in place of the data folder is refused at once, with a message", async () => {
  const file = join(folder, "disk.raw");
  await writeFile(file, "");
  expect(await recordedRun(["up", "--data", file])).toEqual({
    code: 4,
    stdout: "",
    stderr: `${file} is not a folder (SystemRefusedError)\n  Name a folder, or remove the file.\n`,
  });
});

test("a data folder that cannot be created is refused at once, with a message", async () => {
  const { code, stderr } = await recordedRun(["up", "--data", "/proc/causeway"]);
  expect({ code, stderr }).toEqual({
    code: 4,
    stderr:
      "/proc/causeway does not exist (SystemRefusedError)\n  Check the path, and create what is missing.\n",
  });
});

test("a name that no user can have is refused before anything is made", async () => {
  const { code, stderr } = await recordedRun([
    "up",
    "--data",
    join(folder, "cloud"),
    "--user",
    "Ada Lovelace",
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain("--user Ada Lovelace: a name has up to 64 lower-case letters");
});
