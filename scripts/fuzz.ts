/** Runs the properties of every `*.fuzz.test.ts` for a given time: `npm run fuzz -- --help`. */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Tally } from "./fuzz/tally.ts";

const HELP = `npm run fuzz -- --minutes N [--only WORD]

Tries the properties of every *.fuzz.test.ts with new seeds, N minutes in all. Each file has the same share of
the time, and in it each property. A failure shows the seed and path that repeat it. Prints for each file how
long it ran, how often its properties were tried, and its peak memory.

  --minutes N   how long, all files together
  --only WORD   only files whose path contains WORD; all the time is theirs`;

const root = join(import.meta.dirname, "..");

/** One line about how the file ended. A file without a tally has crashed, and fails. */
function fuzz(file: string, seconds: number, scratch: string): { passed: boolean; line: string } {
  const properties = readFileSync(join(root, file), "utf8").split("fc.assert(").length - 1;
  const tallyFile = join(scratch, "tally.json");
  rmSync(tallyFile, { force: true });
  const began = performance.now();
  const { status } = spawnSync("vitest", ["run", "--config", "scripts/fuzz/vitest.config.ts", file], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      TMPDIR: scratch,
      FUZZ_TALLY: tallyFile,
      FUZZ_MILLISECONDS: String(Math.ceil((seconds * 1000) / Math.max(1, properties))),
    },
  });
  const took = `${Math.round((performance.now() - began) / 1000)} s`;
  try {
    const { runs, peakMiB } = Tally.parse(JSON.parse(readFileSync(tallyFile, "utf8")));
    const passed = status === 0;
    return {
      passed,
      line: `${passed ? "passed" : "FAILED"}  ${file}: ${took}, ${runs} runs, ${peakMiB} MiB`,
    };
  } catch {
    return { passed: false, line: `CRASHED ${file}: ${took}` };
  }
}

function main(): number {
  const { values } = parseArgs({
    options: { minutes: { type: "string" }, only: { type: "string" }, help: { type: "boolean" } },
  });
  const minutes = Number(values.minutes);
  if (values.help || !(minutes > 0)) {
    console.error(HELP);
    return values.help ? 0 : 2;
  }
  const all = globSync("*/**/*.fuzz.test.ts", { cwd: root, exclude: ["node_modules"] }).sort();
  const files = all.filter((file) => file.includes(values.only ?? ""));
  if (files.length === 0) {
    console.error(`no fuzz test's path contains ${values.only}`);
    return 2;
  }
  const seconds = (minutes * 60) / files.length;
  const scratch = mkdtempSync(join(tmpdir(), "causeway-fuzz-"));
  const results = files.map((file, index) => {
    console.log(`\n== ${index + 1} of ${files.length}, for ${Math.round(seconds)} s: ${file}`);
    return fuzz(file, seconds, scratch);
  });
  rmSync(scratch, { recursive: true, force: true });
  console.log(`\n${results.map(({ line }) => line).join("\n")}`);
  return results.every(({ passed }) => passed) ? 0 : 1;
}

process.exitCode = main();
