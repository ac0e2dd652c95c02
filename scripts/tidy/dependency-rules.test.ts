import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AGENT_FLOORS, dependencyFindings, ROOMS, rules } from "./dependency-rules.ts";
import { parseSource } from "./source.ts";

const root = join(import.meta.dirname, "../..");
const messages = (path: string, text: string) =>
  dependencyFindings(parseSource(path, text)).map(({ message }) => message);
const foldersOf = (path: string) =>
  readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );

test("a decision that reads a file is named, with the reason", () => {
  expect(messages("shared/domain/x.ts", 'import { readFileSync } from "node:fs";')).toEqual([
    "imports node:fs: decisions do no IO",
  ]);
});

test("the embedded cloud may not know Causeway, even by a relative path", () => {
  expect(messages("local/s3/x.ts", 'import { a } from "../../shared/errors.ts";')).toHaveLength(1);
  expect(messages("local/s3/x.ts", 'import { a } from "../../shared/data-folder/a.ts";')).toEqual([]);
});

test("a type import, a re-export and a dynamic import count as imports", () => {
  const lines = [
    'import type { A } from "#agent/a.ts";',
    'export { b } from "#agent/b.ts";',
    'const c = await import("#agent/c.ts");',
    'type D = import("#agent/d.ts").D;',
  ];
  for (const line of lines) expect(messages("functions/x.ts", line)).toHaveLength(1);
});

test("tests may import the folders that they put together", () => {
  expect(messages("local/s3/x.test.ts", 'import { a } from "#shared/errors.ts";')).toEqual([]);
});

test("a folder of the agent imports only from lower floors", () => {
  const line = (folder: string) => `import { a } from "../${folder}/a.ts";`;
  expect(messages("agent/capture/x.ts", line("store"))).toEqual([]);
  expect(messages("agent/store/x.ts", line("capture"))).toEqual([
    "imports agent/capture/a.ts: agent/capture is not below agent/store (AGENT_FLOORS)",
  ]);
  expect(messages("agent/capture/x.ts", line("restore"))).toHaveLength(1);
  expect(messages("agent/capture/x.ts", line("attic"))).toEqual([
    "imports agent/attic/a.ts: agent/attic has no floor; add it to AGENT_FLOORS",
  ]);
});

test("each folder of the agent is on one floor, and each room with code has a rule", () => {
  expect(AGENT_FLOORS.flat().sort()).toEqual(foldersOf("agent").sort());
  const withCode = foldersOf(".").filter(
    (folder) => !folder.startsWith(".") && !["docs", "node_modules", "changelog", "cdk.out"].includes(folder),
  );
  expect([...ROOMS]).toEqual(withCode.sort());
  for (const room of ROOMS) expect(rules.some(({ from }) => from === `${room}/`)).toBe(true);
});

test("docs/architecture.md shows each folder of the agent on its floor, from the bottom up", () => {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const shown = [...text.matchAll(/^\| `([^`]+)\/` \| (\d+) \|/gm)].map(
    ([, folder, floor]) => `${floor} ${folder}`,
  );
  expect(shown).toEqual(
    AGENT_FLOORS.flatMap((floor, index) => floor.map((folder) => `${index + 1} ${folder}`)),
  );
});
