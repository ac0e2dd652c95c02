/** Everything that must hold: `npm test`. Ends with `N passed, N failed`; each check counts as one test. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const root = join(import.meta.dirname, "..");
/** For everything that the tests write. It is removed when they end, even after a failure. */
const scratch = mkdtempSync(join(tmpdir(), "causeway-test-"));
// Some tests run programs as another user, who has to reach folders in it.
chmodSync(scratch, 0o711);
const total = { passed: 0, failed: 0 };

function run(name: string, command: string, args: string[]): boolean {
  console.log(`\n== ${name}`);
  const env = { ...process.env, TMPDIR: scratch };
  return spawnSync(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

function check(name: string, command: string, args: string[]): void {
  if (run(name, command, args)) total.passed++;
  else total.failed++;
}

const Report = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numFailedTestSuites: z.int(),
  success: z.boolean(),
});

/** A run of vitest; one that dies without a report, or fails outside any test, counts as a failure. */
function vitest(name: string, project: string): void {
  const output = join(scratch, `${project}.json`);
  const succeeded = run(name, "vitest", [
    "run",
    "--project",
    project,
    "--reporter=default",
    "--reporter=json",
    `--outputFile=${output}`,
  ]);
  try {
    const report = Report.parse(JSON.parse(readFileSync(output, "utf8")));
    total.passed += report.numPassedTests;
    total.failed += report.numFailedTests;
    if (!succeeded && report.numFailedTests === 0) total.failed++;
  } catch (error) {
    console.error(`${name}: no report: ${error instanceof Error ? error.message : String(error)}`);
    total.failed++;
  }
}

check("types", "tsc", ["--noEmit"]);
check("lint", "biome", ["check", "--error-on-warnings"]);
check("tidy", "node", ["scripts/tidy.ts"]);
check("cdk synth, offline", "cdk", ["synth", "--quiet", "--no-notices"]);
vitest("unit, workflow and API tests", "unit");
vitest("end to end, with real disks and virtual machines", "e2e");

rmSync(scratch, { recursive: true, force: true });
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
