/** The recorded runs of machine tests: one line of JSON for each run. */
import * as z from "zod";

const Test = z.object({
  /** From the root of the project. */
  file: z.string().min(1),
  /** Names of its groups and its own, joined with ` > `. */
  name: z.string().min(1),
});
export type MachineTest = z.infer<typeof Test>;

const Run = Test.extend({
  /** With `+changes` unless the tree was this commit from the start of the run to the end of the test. */
  commit: z.string().min(1),
  outcome: z.enum(["passed", "failed"]),
  seconds: z.number().nonnegative(),
  endedAt: z.iso.datetime(),
});
export type MachineTestRun = z.infer<typeof Run>;

/** Between the names of groups and tests. */
const SEPARATOR = " > ";
const SHOWN_DIGITS = 12;

/** The runs in a file. An incomplete line (cut by an interruption) is left out. */
export function parseRuns(text: string): MachineTestRun[] {
  return text.split("\n").flatMap((line) => {
    try {
      const { data } = Run.safeParse(JSON.parse(line));
      return data ? [data] : [];
    } catch {
      return [];
    }
  });
}

/** The tests whose file and name contain each of the words, in any case. */
export function matching<T extends MachineTest>(tests: readonly T[], words: readonly string[]): T[] {
  return tests.filter(({ file, name }) => {
    const text = `${file} ${name}`.toLowerCase();
    return words.every((word) => text.includes(word.toLowerCase()));
  });
}

/** The tests that have not passed at this commit. A run with changes does not count as passed. */
export function notPassed(
  tests: readonly MachineTest[],
  runs: readonly MachineTestRun[],
  commit: string,
): MachineTest[] {
  const latest = latestOf(runs.filter((run) => run.commit === commit && !commit.endsWith("+changes")));
  return tests.filter((test) => latest.get(keyOf(test))?.outcome !== "passed");
}

/** For Vitest's `--testNamePattern`: exactly these tests. It joins the names of groups with spaces. */
export function namePattern(tests: readonly MachineTest[]): string {
  const patterns = tests.map(({ name }) =>
    name
      .split(SEPARATOR)
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"))
      .join(`(?: |${SEPARATOR})`),
  );
  return `^(?:${[...new Set(patterns)].join("|")})$`;
}

/** The last run of each test, as Markdown: a table for each file, as in `docs/cold-cloning-matrix.md`. */
export function describeRuns(runs: readonly MachineTestRun[]): string {
  const byFile = Map.groupBy(latestOf(runs).values(), ({ file }) => file);
  return [...byFile].map(([file, rows]) => `## \`${file}\`\n\n${tableOf(rows)}`).join("\n\n");
}

function tableOf(runs: readonly MachineTestRun[]): string {
  const rows = runs.map(({ name, outcome, commit, seconds }) => {
    const [digits = "", changes] = commit.split("+");
    const shown = digits.slice(0, SHOWN_DIGITS) + (changes === undefined ? "" : ", changed");
    return `| ${name.replaceAll("|", "\\|")} | ${outcome} | ${shown} | ${Math.round(seconds)} |`;
  });
  return ["| test | outcome | commit | seconds |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** By test, in the order in which each was first run. */
function latestOf(runs: readonly MachineTestRun[]): Map<string, MachineTestRun> {
  return new Map(runs.map((run) => [keyOf(run), run]));
}

function keyOf({ file, name }: MachineTest): string {
  return `${file}\n${name}`;
}
