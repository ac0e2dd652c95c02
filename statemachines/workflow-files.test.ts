import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { workflowNames } from "#shared/protocol/conversion-types.ts";
import {
  errorNames,
  retryableErrors,
  taskPlaceholders,
  WorkflowFile,
  workflowFiles,
} from "./testing/workflow-file.ts";

const files = workflowFiles.map((name) => new WorkflowFile(name));

test("there is a file for every workflow, and no other", () => {
  expect(workflowFiles).toEqual([...workflowNames].sort());
});

test("they call every task function, and no other", () => {
  const called = files.flatMap((file) => file.functionPlaceholders);
  expect([...new Set(called)].sort()).toEqual(taskPlaceholders);
});

test.each(workflowFiles)("%s is valid Amazon States Language", (name) => {
  expect(new WorkflowFile(name).validate()).toMatchObject({ isValid: true });
});

test.each(workflowFiles)(
  "every error that %s names is one of ours, of the language, of Lambda or of Step Functions",
  (workflow) => {
    for (const name of new WorkflowFile(workflow).namedErrors) {
      if (name.includes(".")) expect(name).toMatch(/^(States|Lambda|Sandbox|Runtime|StepFunctions)\.\w+$/);
      else expect(errorNames).toContain(name);
    }
  },
);

test.each([
  // No source is restarted.
  ["hot-capture", ["BootImageUnavailableError", "BootStateChangedError", "VolumeNotMountedError"]],
  ["remote-cold-capture", []],
])("with %s, every error that may pass by itself is tried again, or has a reason not to be", (name, more) => {
  const handledOtherwise = [
    "AgentSilentError", // is States.HeartbeatTimeout here
    "StandbyBusyError", // no conversion writes to a standby
    "TrackerFailedError", // the agent scans the disk instead
    "TooManyEnrolmentRequestsError", // no step enrols
    "WebhookFailedError", // no step of a conversion sends a notice
    "VerificationFailedError", // has the images written again
    ...more,
  ];
  const retried = ["conversion", name, "make-clone"].flatMap((file) => new WorkflowFile(file).retried);
  expect(retryableErrors.filter((error) => !retried.includes(error)).sort()).toEqual(handledOtherwise.sort());
});

test("every step has a limit", () => {
  for (const { tasks } of files) for (const task of tasks) expect(task.TimeoutSeconds).toBeDefined();
});

test.each(["hot-capture", "make-clone", "prove-clone"])(
  "every step of %s that waits for an agent has a heartbeat",
  (name) => {
    for (const task of new WorkflowFile(name).tasks) {
      expect(task.TimeoutSeconds).toBeTypeOf("number");
      if (task.Resource.endsWith(".waitForTaskToken")) expect(task.HeartbeatSeconds).toBe(120);
    }
  },
);

test("from arming until the receipt, every failure leads through bringing the machine back", () => {
  const { states } = new WorkflowFile("remote-cold-capture");
  const names = Object.keys(states);
  const between = names.slice(names.indexOf("ArmBoot"), names.indexOf("RebootIntoOriginal"));
  expect(between).toContain("RecordRecoveryPoint");
  for (const name of between) {
    const exits = states[name]?.Catch?.map(({ Next }) => Next) ?? [];
    expect(new Set(exits), name).toEqual(
      states[name]?.Type === "Choice" ? new Set() : new Set(["BringBack"]),
    );
  }
});

test("no two workflows have the same state", () => {
  const bodies = files.flatMap((file, index) =>
    file.allStates.map(({ name, state }) => {
      const { Comment: _, Next: _next, End: _end, ...body } = state;
      return { workflow: workflowFiles[index], name, body };
    }),
  );
  const twins = bodies.flatMap((one, index) =>
    bodies
      .slice(index + 1)
      .filter((other) => other.workflow !== one.workflow && isDeepStrictEqual(one.body, other.body))
      .map((other) => `${one.workflow} ${one.name} = ${other.workflow} ${other.name}`),
  );
  expect(twins).toEqual([]);
});
