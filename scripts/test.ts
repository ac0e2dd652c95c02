/** Everything that must hold: `npm test`. Ends with `N passed, N failed`; each check counts as one test. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import * as z from "zod";

const root = join(import.meta.dirname, "..");
/** For everything that the tests write. It is removed when they end, even after a failure. */
const scratch = mkdtempSync(join(tmpdir(), "causeway-test-"));
// Some tests run programs as another user, who has to reach folders in it.
chmodSync(scratch, 0o711);
const total = { passed: 0, failed: 0 };
/** What failed, and why: printed last, because hours of output may stand between a failure and the end. */
const failures: string[] = [];

function fail(what: string, why = ""): void {
  total.failed++;
  failures.push(why === "" ? what : `${what}\n${why.replaceAll(/^/gmu, "    ")}`);
}

function run(name: string, command: string, args: string[]): boolean {
  console.log(`\n== ${name}`);
  const env = { ...process.env, TMPDIR: scratch };
  return spawnSync(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

function check(name: string, command: string, args: string[]): void {
  if (run(name, command, args)) total.passed++;
  else fail(name);
}

const Report = z.object({
  numPassedTests: z.int(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
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
  const before = total.failed;
  try {
    const report = Report.parse(JSON.parse(readFileSync(output, "utf8")));
    total.passed += report.numPassedTests;
    for (const file of report.testResults) {
      const failed = file.assertionResults.filter((test) => test.status === "failed");
      for (const test of failed) {
        fail(`${relative(root, file.name)}: ${test.fullName}`, test.failureMessages?.join("\n"));
      }
      if (file.status === "failed" && failed.length === 0) fail(relative(root, file.name), file.message);
    }
  } catch (error) {
    fail(name, `no report: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!succeeded && total.failed === before)
    fail(name, "an error outside of all tests; see the output above");
}

check("types", "tsc", ["--noEmit"]);
check("lint", "biome", ["check", "--error-on-warnings"]);
check("tidy", "node", ["scripts/tidy.ts"]);
check("cdk synth, offline", "cdk", ["synth", "--quiet", "--no-notices"]);
vitest("unit, workflow and API tests", "unit");
vitest("end to end, with real disks", "e2e");
vitest("real machines that are cloned", "demo");

rmSync(scratch, { recursive: true, force: true });
if (failures.length > 0) console.log(`\n== What failed\n${failures.join("\n")}`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
