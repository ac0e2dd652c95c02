import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { phraseFindings, phrasesOf } from "./phrases.ts";

const phrases = [
  { phrase: "whoever", instead: '"the agent"' },
  { phrase: "is told", instead: '"gets"' },
];
const linesOf = (text: string) => phraseFindings("x.md", text, phrases).map(({ line }) => line);

test("a phrase is found in any case, and across the end of a line of prose or of a comment", () => {
  expect(linesOf("a\nWhoever asks,\nwhoever")).toEqual([2, 3]);
  expect(linesOf("the agent is\ntold")).toEqual([1]);
  expect(linesOf("/**\n * the agent is\n * told\n */")).toEqual([2]);
  expect(linesOf("  // the agent is\n  // told")).toEqual([1]);
  expect(linesOf("> the agent is\n> told")).toEqual([1]);
});

test("a word that only contains a phrase is not a finding", () => {
  expect(linesOf("this told, is toldest, whoever-else, isTold")).toEqual([]);
});

test("the finding says what to write", () => {
  expect(phraseFindings("x.md", "whoever", phrases)).toMatchObject([
    { message: '"whoever": write "the agent"' },
  ]);
});

test("the table of docs/style.md is read to its last row", () => {
  const style = readFileSync(join(import.meta.dirname, "../../docs/style.md"), "utf8");
  const read = phrasesOf(style).map(({ phrase }) => phrase);
  expect(read).toEqual(expect.arrayContaining(["whoever", "nobody", "anew", "what hangs"]));
  expect(new Set(read).size).toBe(read.length);
  const rows = style.split("## Phrases")[1]?.match(/^\| `/gm) ?? [];
  const rowsRead = new Set(phrasesOf(style).map(({ instead }) => instead));
  expect(rowsRead.size).toBe(rows.length);
});
