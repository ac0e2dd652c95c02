import { expect, test } from "vitest";
import { parseCall } from "#cli/command.ts";
import { commands } from "#cli/commands.ts";
import { filledIn, recoveryRunbook, runbookIn, wordsOf } from "./runbook.ts";

const DOCUMENT = `
## Before

\`\`\`
causeway before
\`\`\`

## When it burns

Some words.

\`\`\`
causeway one SOURCE            # look
# only words
causeway two --expect "TEXT"
\`\`\`

As this file:

\`\`\`
[Unit]
Wants=three
\`\`\`

## After
\`\`\`
causeway after
\`\`\`
`;

test("a section's commands are those of its first block, in order and without comments", () => {
  expect(runbookIn(DOCUMENT, "When it burns")).toEqual([
    "causeway one SOURCE",
    'causeway two --expect "TEXT"',
  ]);
  expect(() => runbookIn(DOCUMENT, "When")).toThrow('no section "When"');
});

test("placeholders are filled in once, also in quotation marks, and one without a value is refused", () => {
  const values = { SOURCE: "agt_1", TEXT: "SOURCE IS UP" };
  expect(filledIn('causeway two SOURCE --expect "TEXT"', values)).toBe(
    'causeway two agt_1 --expect "SOURCE IS UP"',
  );
  expect(() => filledIn("causeway three TARGET", values)).toThrow("TARGET");
});

test("words in quotation marks are one word", () => {
  expect(wordsOf('causeway two --expect "SOURCE IS UP" --wait')).toEqual([
    ...["causeway", "two", "--expect", "SOURCE IS UP", "--wait"],
  ]);
});

test("every command of the runbook for a source that is gone is one of the command line's, or looks at libvirt", () => {
  const lines = recoveryRunbook().map((line) => line.replace(" OPTIONS", " --software"));
  const ours = lines.filter((line) => line.startsWith("causeway "));
  const others = lines.filter((line) => !line.startsWith("causeway "));
  expect(others).toEqual(["virsh console NAME"]);
  expect(ours.length).toBeGreaterThan(4);
  for (const line of ours) {
    const words = wordsOf(line).slice(1);
    const command = commands.find(({ name }) => `${words.join(" ")} `.startsWith(`${name} `));
    if (!command) throw new Error(`no command is called as in ${line}`);
    const terminal = { out() {}, async outBytes() {}, err() {}, interactive: false, columns: 80 };
    const outside = { environment: {}, terminal };
    const call = parseCall(command, words.slice(command.name.split(" ").length), outside);
    expect(call, line).not.toBe("help");
  }
});
