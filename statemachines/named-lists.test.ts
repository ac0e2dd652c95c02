import { globSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { catchLists, retryLists } from "./testing/named-lists.ts";
import { WorkflowFile } from "./testing/workflow-file.ts";

const SUFFIX = ".asl.json";
const workflows = globSync(`*${SUFFIX}`, { cwd: import.meta.dirname }).map((file) =>
  file.slice(0, -SUFFIX.length),
);

/** Every list under this key in any workflow, as `workflow state`. */
function listsOf(key: "Retry" | "Catch"): { where: string; list: unknown }[] {
  return workflows.flatMap((workflow) => {
    const found: { where: string; list: unknown }[] = [];
    JSON.parse(new WorkflowFile(workflow).text, (state, value) => {
      if (value?.Type !== undefined && key in value)
        found.push({ where: `${workflow} ${state}`, list: value[key] });
      return value;
    });
    return found;
  });
}

test.each([
  ["Retry", retryLists],
  ["Catch", catchLists],
] as const)(
  "every %s list of a workflow is one of those with a name, and each name is used",
  (key, named) => {
    const lists = listsOf(key);
    const nameOf = (list: unknown) => Object.keys(named).find((name) => isDeepStrictEqual(named[name], list));
    expect(lists.filter(({ list }) => nameOf(list) === undefined).map(({ where }) => where)).toEqual([]);
    expect([...new Set(lists.map(({ list }) => nameOf(list)))].sort()).toEqual(Object.keys(named).sort());
  },
);

test("every state that calls a function says what it retries", () => {
  const retried = listsOf("Retry").length;
  const tasks = workflows.flatMap((workflow) => new WorkflowFile(workflow).tasks);
  expect(retried).toBe(tasks.length);
});
