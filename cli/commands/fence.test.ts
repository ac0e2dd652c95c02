import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordedRun } from "../testing/recorded-run.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-fence-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const fenceCli = (...words: string[]) => recordedRun(["fence", ...words, "--data", dir], {});
const write = (state: object) => writeFileSync(join(dir, "fence.json"), JSON.stringify(state));

test("a source that was never fenced says so, and there is nothing to break", async () => {
  expect((await fenceCli()).stdout).toContain("not fenced");
  const { code, stderr } = await fenceCli("break", "--machine-is-off");
  expect(code).not.toBe(0);
  expect(stderr).toContain("this machine is not fenced");
  expect(existsSync(join(dir, "fence.json"))).toBe(false);
});

test("a fenced source says since when, why, and what is kept down, and a terminal obeys nothing of it", async () => {
  const since = "2030-01-01T00:00:00.000Z";
  write({ term: 1, isUp: true, since, reason: "a machine\u001b[2J runs", services: ["nginx.service"] });
  const { stdout } = await fenceCli();
  expect(stdout).toContain(`fenced since ${since}`);
  expect(stdout).toContain("nginx.service");
  expect(stdout).not.toContain("\u001b");
});

test("a fenced source says which services could not be stopped", async () => {
  write({ term: 1, isUp: true, services: ["a.service", "b.service"], unstopped: ["b.service"] });
  expect((await fenceCli()).stdout).toContain("Could not be stopped, and may run: b.service");
});

test("a fence is not broken without the word that the machine is off", async () => {
  write({ term: 1, isUp: true, services: [] });
  const before = readFileSync(join(dir, "fence.json"), "utf8");
  const { code, stderr } = await fenceCli("break");
  expect(code).toBe(2);
  expect(stderr).toContain("--machine-is-off");
  expect(readFileSync(join(dir, "fence.json"), "utf8")).toBe(before);
});

test.each([
  [{ broken: { term: 1, at: "2030-01-01T00:00:00.000Z", by: "ada" } }, "repeat causeway fence break"],
  [{}, "start the agent again"],
])(
  "a fence that was taken down in part is not said to be none, and the person reads how to finish it",
  async (fields, how) => {
    write({ term: 1, isUp: false, services: ["a.socket", "a.service"], stopped: ["a.service"], ...fields });
    const { stdout } = await fenceCli();
    expect(stdout).toContain("only in part: a.socket a.service may still be down");
    expect(stdout).toContain(how);
    expect(stdout).not.toContain("not fenced");
  },
);
