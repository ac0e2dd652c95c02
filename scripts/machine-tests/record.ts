/** The file that records runs of machine tests, and the commit of a run. */
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type MachineTestRun, parseRuns } from "./rows.ts";

export const projectRoot = join(import.meta.dirname, "../..");
const path = join(projectRoot, ".cache/machine-tests.jsonl");

export function readRuns(): MachineTestRun[] {
  return existsSync(path) ? parseRuns(readFileSync(path, "utf8")) : [];
}

export function recordRun(run: MachineTestRun): void {
  mkdirSync(dirname(path), { recursive: true });
  appendFileSync(path, `${JSON.stringify(run)}\n`);
}

/** The commit of the tree, with `+changes` if files differ from it. Throws outside of a clone. */
export function currentCommit(): string {
  const changes = git("status", "--porcelain") === "" ? "" : "+changes";
  return `${git("rev-parse", "HEAD")}${changes}`;
}

function git(...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync("git", words, { cwd: projectRoot, encoding: "utf8" });
  if (status !== 0) throw new Error(`git ${words.join(" ")} failed: ${error?.message ?? stderr}`);
  return stdout.trim();
}
