import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AgentRole } from "#shared/protocol/common.ts";
import { AgentSystem } from "#shared/protocol/machine.ts";
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
  expect(valuesIn("system")).toEqual(AgentSystem.options);
  expect(valuesIn("role").sort()).toEqual(AgentRole.options.toSorted());
  const types = rows.flatMap(({ meaning }) => /^type `([^`]+)`/.exec(meaning)?.[1] ?? []);
  expect(types).toEqual(resources.ConversionType.options);
});

test("everything that the control plane stores, and every event of an agent, has a word in the glossary", () => {
  const namesIn = (path: string, pattern: RegExp) =>
    [...readFileSync(join(root, path), "utf8").matchAll(pattern)].map(([, name = ""]) => asWords(name));
  const records = globSync("shared/domain/**/*.ts", { cwd: root }).flatMap((path) =>
    namesIn(path, /^export const ([A-Z]\w+)Record\b/gm),
  );
  const events = namesIn("shared/protocol/events.ts", /^export const ([A-Z][a-z]+)[A-Z]\w+ed\b/gm);
  expect(records.length).toBeGreaterThan(6);
  expect(events.length).toBeGreaterThan(3);
  const words = new Set([...glossary, "token"]);
  expect([...records, ...events].filter((name) => !words.has(name))).toEqual([]);
});

test("every resource of the API is a word of the glossary, or made of words", () => {
  /** Words that people know from elsewhere, and words that only say which form of a term it is. */
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
