/** Runs machine tests and keeps their outcomes: `npm run test:e2e`. */
import { spawnSync } from "node:child_process";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { currentCommit, projectRoot, readRuns } from "./machine-tests/record.ts";
import { describeRuns, type MachineTest, matching, namePattern, notPassed } from "./machine-tests/rows.ts";

const USAGE = `usage: npm run test:e2e -- [WORD…] [--again | --report]

Runs the tests whose file and name contain each WORD: machines that restart under emulation, thousands of
random disk layouts and of interleavings of the tracker, and hundreds of kills. Each takes minutes.
Each outcome is recorded with its commit and its seconds in .cache/machine-tests.jsonl.

  --again   also those that have passed at this commit; without it, an interrupted run continues
  --report  only prints the last recorded run of each test
  --help    prints this
`;

function main(argv: string[]): number {
  const options = optionsOf(argv);
  if (!options) return 2;
  const { values, positionals: words } = options;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.report) {
    console.log(describeRuns(matching(readRuns(), words)));
    return 0;
  }
  const commit = currentCommit();
  const chosen = matching(machineTests(), words);
  if (chosen.length === 0) {
    console.error(`no machine test has ${words.join(" and ")} in its file and name`);
    return 2;
  }
  const toRun = values.again ? chosen : notPassed(chosen, readRuns(), commit);
  console.log(`${chosen.length} tests; ${chosen.length - toRun.length} of them have passed at ${commit}`);
  return toRun.length === 0 ? 0 : runTests(toRun);
}

function optionsOf(args: string[]) {
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { again: flag, report: flag, help: { ...flag, short: "h" } },
    });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return undefined;
  }
}

const Listed = z.array(z.object({ file: z.string(), name: z.string() }));

function machineTests(): MachineTest[] {
  const { status, stdout, error } = spawnSync("vitest", ["list", "--project", "machines", "--json"], {
    cwd: projectRoot,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`vitest list failed: ${error?.message ?? `status ${status}`}`);
  return Listed.parse(JSON.parse(stdout)).map(({ file, name }) => ({
    file: relative(projectRoot, file),
    name,
  }));
}

/** Ends with 0 if all of them passed. */
function runTests(tests: readonly MachineTest[]): number {
  const { status, error } = spawnSync(
    "vitest",
    [
      ...["run", "--project", "machines", ...new Set(tests.map(({ file }) => file))],
      ...["--testNamePattern", namePattern(tests)],
      ...["--reporter=default", "--reporter=./scripts/machine-tests/row-reporter.ts"],
    ],
    { cwd: projectRoot, stdio: "inherit" },
  );
  if (error) throw error;
  return status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
