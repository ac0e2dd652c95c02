import fc from "fast-check";
import { expect, test } from "vitest";
import { describeRuns, type MachineTestRun, matching, namePattern, notPassed, parseRuns } from "./rows.ts";

const COMMIT = "98ce8231f0a94c0f0d1e2f3a4b5c6d7e8f901234";
const cut = { file: "e2e/tests/power-cut.machine.test.ts", name: "on trixie with bios > in the capture" };
const clone = { file: "e2e/tests/cold-clone.machine.test.ts", name: "Debian on UEFI > is cloned (whole)" };

function ran(test: typeof cut, changes: Partial<MachineTestRun> = {}): MachineTestRun {
  return {
    ...test,
    ...{ commit: COMMIT, outcome: "passed", seconds: 1.5, endedAt: "2026-01-02T03:04:05.000Z", ...changes },
  };
}

test.each([
  [[], [cut, clone]],
  [["power-cut"], [cut]],
  [["uefi"], [clone]],
  [["machine", "TRIXIE"], [cut]],
  [["power-cut", "uefi"], []],
])("the words %j choose tests by file and name, in any case", (words, expected) => {
  expect(matching([cut, clone], words)).toEqual(expected);
});

test("a test that passed at this commit is skipped, and no other", () => {
  expect(notPassed([cut, clone], [ran(cut)], COMMIT)).toEqual([clone]);
  expect(notPassed([cut], [ran(cut)], "another")).toEqual([cut]);
  expect(notPassed([cut], [ran(cut, { outcome: "failed" })], COMMIT)).toEqual([cut]);
});

test("the last run of a test decides", () => {
  expect(notPassed([cut], [ran(cut), ran(cut, { outcome: "failed" })], COMMIT)).toEqual([cut]);
  expect(notPassed([cut], [ran(cut, { outcome: "failed" }), ran(cut)], COMMIT)).toEqual([]);
});

test("a test that passed with uncommitted changes is run again", () => {
  const commit = `${COMMIT}+changes`;
  expect(notPassed([cut], [ran(cut, { commit })], commit)).toEqual([cut]);
  expect(notPassed([cut], [ran(cut, { commit })], COMMIT)).toEqual([cut]);
});

test.each(["", '{"file":"e2e/te', "null", "7", JSON.stringify({ ...ran(cut), outcome: "unknown" })])(
  "the line %j proves nothing, and the others count",
  (line) => {
    expect(parseRuns(`${JSON.stringify(ran(cut))}\n${line}\n${JSON.stringify(ran(clone))}\n`)).toEqual([
      ran(cut),
      ran(clone),
    ]);
  },
);

test("the pattern matches exactly the chosen tests, whatever characters their names have", () => {
  const name = fc.string({ minLength: 1, unit: "binary-ascii" }).filter((text) => !/[\n\r]/.test(text));
  fc.assert(
    fc.property(name, name, name, (group, own, other) => {
      const pattern = new RegExp(namePattern([{ file: "f", name: `${group} > ${own}` }]));
      expect(pattern.test(`${group} ${own}`)).toBe(true);
      const joined = `${group} ${other}`.replaceAll(" > ", " ");
      if (joined !== `${group} ${own}`.replaceAll(" > ", " ")) expect(pattern.test(joined)).toBe(false);
    }),
  );
});

test("the report has a table for each file, with the last run of each test", () => {
  const runs = [ran(cut, { outcome: "failed" }), ran(clone, { commit: "abc+changes" }), ran(cut)];
  expect(describeRuns(runs)).toBe(`## \`e2e/tests/power-cut.machine.test.ts\`

| test | outcome | commit | seconds |
| --- | --- | --- | --- |
| on trixie with bios > in the capture | passed | 98ce8231f0a9 | 2 |

## \`e2e/tests/cold-clone.machine.test.ts\`

| test | outcome | commit | seconds |
| --- | --- | --- | --- |
| Debian on UEFI > is cloned (whole) | passed | abc, changed | 2 |`);
});
