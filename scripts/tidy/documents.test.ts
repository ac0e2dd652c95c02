import { expect, test } from "vitest";
import { decisionListFindings, folderTableFindings, linkFindings, pathFindings } from "./documents.ts";

const treeOf = (texts: Record<string, string>) => ({
  files: Object.keys(texts).sort(),
  read: (path: string) => texts[path] ?? "",
});

const decisions = {
  "docs/decisions/0001-a.md": "# 1. First things first\n",
  "docs/decisions/0012-b.md": "# 12. One more\n",
};
const list = "# Decisions\n\n- [1. First things first](0001-a.md)\n- [12. One more](0012-b.md)\n";

test("the list of decisions has each with its title, in order", () => {
  const found = (readme: string) =>
    decisionListFindings(treeOf({ ...decisions, "docs/decisions/README.md": readme })).map(
      ({ message }) => message,
    );
  expect(found(list)).toEqual([]);
  expect(found(list.replace("One more", "Another"))).toEqual([
    "does not list the decisions as they are; expected: - [12. One more](0012-b.md)",
  ]);
  expect(found(list.replace("- [1. First things first](0001-a.md)\n", ""))).toHaveLength(1);
  expect(found(`${list}- [13. Gone](0013-c.md)\n`)).toHaveLength(1);
});

test("the tables of folders have a row for each folder, and none for a folder that does not exist", () => {
  const rows = (...names: string[]) => names.map((name) => `| \`${name}/\` | what it is |`).join("\n");
  const architecture = (agent: string[]) =>
    `# A\n\n## Folders\n\n${rows("agent", "docs", "functions")}\n\n### The agent's folders\n\n${rows(...agent)}\n\n### The functions' folders\n\n${rows("api")}\n\n## More\n\n${rows("other")}\n`;
  const found = (...agent: string[]) =>
    folderTableFindings(
      treeOf({
        "agent/disk/a.ts": "",
        "agent/testing/x.ts": "",
        "agent/main.ts": "",
        "changelog/README.md": "",
        "functions/api/a.ts": "",
        "docs/architecture.md": architecture(agent),
      }),
    ).map(({ message }) => message);
  expect(found("disk")).toEqual([]);
  expect(found()).toEqual(['"### The agent\'s folders" has no row for `disk/`']);
  expect(found("disk", "attic")).toEqual(['"### The agent\'s folders" has a row too many: `attic/`']);
  expect(found("disk", "disk")).toHaveLength(1);
});

test("a link to a missing file is found; addresses, anchors and folders are not", () => {
  const found = linkFindings(
    treeOf({
      "docs/a.md":
        "[b](b.md#part) [up](../README.md) [web](https://example.com) [here](#x) [in](c/)\n[gone](d.md)",
      "docs/b.md": "",
      "docs/c/x.md": "",
      "README.md": "",
    }),
  );
  expect(found).toEqual([
    { path: "docs/a.md", line: 2, message: "links to docs/d.md, which does not exist" },
  ]);
});

test("a path that CONTRIBUTING.md names exists", () => {
  const found = pathFindings(
    treeOf({
      "CONTRIBUTING.md": "`agent/a.ts`, `agent/`, `unknown/x`, `a/b c`\n`agent/gone.ts`",
      "agent/a.ts": "",
    }),
  );
  expect(found).toMatchObject([{ line: 2, message: "names agent/gone.ts, which does not exist" }]);
});
