import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AgentRole } from "#shared/protocol/common.ts";
import { AgentEnvironment } from "#shared/protocol/machine.ts";
import * as resources from "#shared/protocol/resources.ts";

const root = join(import.meta.dirname, "..");
const rows = [
  ...readFileSync(join(root, "docs/glossary.md"), "utf8").matchAll(/^\| ([^|]+) \| ([^|]+) \|$/gm),
]
  .map(([, words = "", meaning = ""]) => ({ words: words.split(", "), meaning }))
  .slice(2);
const glossary = new Set(rows.flatMap(({ words }) => words));
const valuesIn = (word: string) => {
  const row = rows.find(({ words }) => words.includes(word));
  return [...(row?.meaning.matchAll(/`([^`]+)`/g) ?? [])].map(([, value]) => value);
};
/** `BootImage`, `boot-image` and `boot image` are the same words. */
const asWords = (text: string) =>
  text
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[-_]/g, " ")
    .toLowerCase();

test("every word of the glossary is used in the code", () => {
  const paths = globSync("{agent,cli,functions,infra,local,shared,statemachines}/**/*.{ts,json}", {
    cwd: root,
  });
  const code = asWords(
    paths
      .filter((path) => !/\.test\.ts$|\/testing\//.test(path))
      .map((path) => `${path}\n${readFileSync(join(root, path), "utf8")}`)
      .join("\n"),
  );
  const isUsed = (words: string) => new RegExp(`\\b${words}`).test(code);
  const types = rows.filter(({ meaning }) => meaning.startsWith("type `")).flatMap(({ words }) => words);
  expect([...glossary].filter((word) => !types.includes(word) && !isUsed(word))).toEqual([]);
});

test("every value that a person chooses or sees is in the glossary, and no other", () => {
  expect(valuesIn("step")).toEqual(resources.StepName.options);
  expect(valuesIn("conversion state")).toEqual(resources.ConversionState.options);
  expect(valuesIn("rule outcome")).toEqual(resources.RuleOutcome.shape.outcome.options);
  expect(valuesIn("presence")).toEqual(resources.Presence.options);
  expect(valuesIn("system")).toEqual(AgentEnvironment.options);
  expect(valuesIn("role").sort()).toEqual(AgentRole.options.toSorted());
  const types = rows.flatMap(({ meaning }) => /^type `([^`]+)`/.exec(meaning)?.[1] ?? []);
  expect(types).toEqual(resources.ConversionType.options);
});

test("every resource of the API is a word of the glossary, or made of words", () => {
  /** What people know from elsewhere, and what only says which form of a word it is. */
  const plain = new Set([
    "source",
    "target",
    "new",
    "request",
    "token",
    "result",
    "receipt",
    "name",
    "type",
    "state",
  ]);
  const isMadeOfWords = (name: string) => {
    let rest = asWords(name);
    for (const word of [...glossary, ...plain].sort((a, b) => b.length - a.length)) {
      rest = rest.replace(new RegExp(`\\b${word}\\b`), "");
    }
    return rest.trim() === "";
  };
  const schemas = Object.keys(resources).filter((name) => /^[A-Z]/.test(name));
  expect(schemas.length).toBeGreaterThan(15);
  expect(schemas.filter((name) => !isMadeOfWords(name))).toEqual([]);
});
