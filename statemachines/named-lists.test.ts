import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { catchLists, retryLists } from "./testing/named-lists.ts";
import { WorkflowFile, workflowFiles } from "./testing/workflow-file.ts";

/** Every list under this key in any workflow, as `workflow state`. */
function listsOf(key: "Retry" | "Catch"): { where: string; list: unknown }[] {
  return workflowFiles.flatMap((workflow) =>
    new WorkflowFile(workflow).allStates
      .filter(({ state }) => key in state)
      .map(({ name, state }) => ({ where: `${workflow} ${name}`, list: state[key] })),
  );
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

test("every state that calls a function or starts a workflow says what it retries", () => {
  const retried = listsOf("Retry").length;
  const tasks = workflowFiles.flatMap((workflow) => new WorkflowFile(workflow).tasks);
  expect(retried).toBe(tasks.length);
});
