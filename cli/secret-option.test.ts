import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordedRun } from "./testing/recorded-run.ts";

/** The API there refuses it; the output before that shows where the token came from. */
const NOWHERE = ["--url", "http://127.0.0.1:1"];
const WARNING = "on the command line can be read by every user of this machine";
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-secret-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function fileWith(text: string): string {
  const path = join(dir, "token");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

test("a token on the command line is accepted, with a warning that says what to do instead", async () => {
  const { stderr } = await recordedRun(["sources", ...NOWHERE, "--token", "secret"]);
  expect(stderr).toContain(WARNING);
  expect(stderr).toContain("CAUSEWAY_TOKEN");
  expect(stderr).not.toContain("secret");
});

test("a token from a file or from the environment is accepted without a warning", async () => {
  for (const [words, environment] of [
    [["--token-file", fileWith("secret\n")], {}],
    [[], { CAUSEWAY_TOKEN: "secret" }],
  ] as const) {
    const { code, stderr } = await recordedRun(["sources", ...NOWHERE, ...words], environment);
    expect(code).toBe(1);
    expect(stderr).not.toContain(WARNING);
  }
});

test.each(["--token", "--token-file"])("a token is read from standard input with `%s -`", (option) => {
  const main = join(import.meta.dirname, "main.ts");
  const run = (input: string) =>
    spawnSync(process.execPath, [main, "sources", ...NOWHERE, option, "-"], { input, encoding: "utf8" });
  expect(run("secret\n").stderr).not.toMatch(/Warning|--token/);
  expect(run("").stderr).toContain("it is empty");
});

test.each<[string, () => string[], string]>([
  ["a file that is not there", () => ["--token-file", join(dir, "none")], "ENOENT"],
  ["an empty file", () => ["--token-file", fileWith("\n")], "it is empty"],
  ["a file with more than a token", () => ["--token-file", fileWith("a b\n")], "must hold one word"],
  ["an empty word", () => ["--token", ""], "is empty"],
  ["both", () => ["--token", "a", "--token-file", fileWith("b")], "not both"],
])("%s is a usage error", async (_, words, message) => {
  const { code, stderr } = await recordedRun(["sources", ...NOWHERE, ...words()]);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test("an agent's first start requires a token, and takes one that is not in its arguments", async () => {
  const words = ["agent", "--data", join(dir, "agent"), "--role", "source", ...NOWHERE];
  const without = await recordedRun(words);
  expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining("--enrol-file") });
  const empty = await recordedRun([...words, "--enrol-file", fileWith("")]);
  expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining("--enrol-file: it is") });
});
