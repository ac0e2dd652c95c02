import { readFileSync } from "node:fs";
import { join } from "node:path";

const OPERATIONS = join(import.meta.dirname, "../../docs/operations.md");
/** Placeholders are in capitals, as in the documents. */
const PLACEHOLDER = /\b[A-Z]{4,}\b/g;
/** A word, or several of them in quotation marks. */
const WORD = /"([^"]*)"|[^\s"]+/g;

/** What operators type when a source is gone, by their guide. */
export function recoveryRunbook(): string[] {
  return runbookIn(readFileSync(OPERATIONS, "utf8"), "A source is gone: recover it");
}

/**
 * The command lines in the first block of code of one section of a document, in their order, without
 * comments. Later blocks show files and examples.
 */
export function runbookIn(document: string, heading: string): string[] {
  const start = document.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error(`the document has no section "${heading}"`);
  const end = document.indexOf("\n## ", start + 1);
  const section = document.slice(start, end < 0 ? undefined : end);
  const [, block = ""] = /^```\n(.*?)^```$/ms.exec(section) ?? [];
  return block
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*/, "").trim())
    .filter((line) => line !== "");
}

/** A command line with its placeholders filled in. Throws for one without a value. */
export function filledIn(line: string, values: Readonly<Record<string, string>>): string {
  return line.replace(PLACEHOLDER, (name) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${name} in "${line}" is not known`);
    return value;
  });
}

/** The words of a command line, as a shell would take them. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(WORD)].map(([word, quoted]) => quoted ?? word);
}
