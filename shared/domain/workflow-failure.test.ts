import { expect, test } from "vitest";
import { DiskNotFoundError, failureOf, PreflightFailedError } from "../errors.ts";
import { workflowFailure } from "./workflow-failure.ts";

test("an agent's failure is shown as it was reported", () => {
  const failure = failureOf(new DiskNotFoundError("vdz"));
  expect(workflowFailure({ Error: failure.name, Cause: JSON.stringify(failure) })).toEqual(failure);
});

test("a function's failure keeps its hint and details", () => {
  const failure = failureOf(new PreflightFailedError([{ id: "a", message: "b", remedy: "Do c." }]));
  const cause = { errorType: failure.name, errorMessage: JSON.stringify(failure), trace: [] };
  expect(workflowFailure({ Error: failure.name, Cause: JSON.stringify(cause) })).toEqual(failure);
});

test.each([
  ["States.HeartbeatTimeout", "AgentSilentError"],
  ["States.Timeout", "StepTimedOutError"],
])("%s is shown as %s", (error, name) => {
  expect(workflowFailure({ Error: error, Cause: "" })).toMatchObject({
    name,
    hint: expect.stringMatching(/\w/),
  });
});

test("an unexpected error keeps its message", () => {
  const failure = workflowFailure({ Error: "Lambda.Unknown", Cause: "The process exited" });
  expect(failure.name).toBe("UnexpectedError");
  expect(failure.message).toContain("Lambda.Unknown: The process exited");
});

test("the failure of a clone that did not boot says where to look", () => {
  const found = {
    verdict: "not-booted",
    reason: "kernel panic",
    seconds: 9,
    screenshotKey: "evidence/1.png",
  };
  const failure = workflowFailure({ Error: "BootCheckFailedError", Cause: JSON.stringify(found) });
  expect(failure).toMatchObject({
    name: "BootCheckFailedError",
    message: "the clone did not boot: kernel panic",
    details: { screenshotKey: "evidence/1.png" },
  });
});

test.each(["BootEnvironmentSilentError", "OriginalSystemSilentError"])(
  "a wait that timed out as %s is shown with a hint",
  (name) => {
    expect(workflowFailure({ Error: name, Cause: "" })).toMatchObject({
      name,
      hint: expect.stringContaining("console"),
    });
  },
);

test("if the original system stays silent after another failure, both failures are reported", () => {
  const before = { Error: "BootEnvironmentSilentError", Cause: "" };
  const failure = workflowFailure({ Error: "OriginalSystemSilentError", Cause: JSON.stringify(before) });
  expect(failure.name).toBe("OriginalSystemSilentError");
  expect(failure.message).toContain("after BootEnvironmentSilentError: the boot environment did not report");
});

test("if the boot state was not restored, the failure names the items", () => {
  const failure = workflowFailure({ Error: "BootStateNotRestoredError", Cause: '["/boot/grub/grubenv"]' });
  expect(failure).toMatchObject({
    name: "BootStateNotRestoredError",
    message: expect.stringContaining("/boot/grub/grubenv"),
  });
});

// --- Workflows that wait for workflows --------------------------------------------------------------

/** As Step Functions describes an execution to the workflow that waited for it. */
function described(ended: { Status: string; Error?: string; Cause?: string }) {
  const { Status, ...error } = ended;
  const { Cause, Error: name } = error;
  const cause = JSON.stringify({
    ...(Cause === undefined ? {} : { Cause }),
    ...(name === undefined ? {} : { Error: name }),
    ExecutionArn: "arn:aws:states:local-1:000000000000:execution:causeway-make-clone:cnv_1.1",
    Input: JSON.stringify({ owner: "cnv_1", disks: "d".repeat(1000) }),
    Status,
    StopDate: 1,
  });
  return { Error: "States.TaskFailed", Cause: cause };
}

const failure = failureOf(new DiskNotFoundError('the disk "vdz"'));
const reportedAs = { Error: failure.name, Cause: JSON.stringify(failure) };

test("a failure in a workflow that another one waited for is reported as it happened, however deep", () => {
  const once = described({ Status: "FAILED", ...reportedAs });
  expect(workflowFailure(once)).toEqual(failure);
  expect(workflowFailure(described({ Status: "FAILED", ...once }))).toEqual(failure);
});

test("a description that was cut off after its error still gives that error", () => {
  const { Error: name, Cause } = described({ Status: "FAILED", ...reportedAs });
  expect(workflowFailure({ Error: name, Cause: Cause.slice(0, -800) })).toEqual(failure);
  // If the error is cut off, only the rest of the cause can be reported.
  const left = workflowFailure({ Error: name, Cause: Cause.slice(0, 40) });
  expect(left.name).toBe("UnexpectedError");
  expect(left.message).toContain(Cause.slice(0, 40));
});

test.each([
  [{ Status: "TIMED_OUT" }, "StepTimedOutError"],
  [{ Status: "FAILED", Error: "States.HeartbeatTimeout" }, "AgentSilentError"],
  [{ Status: "ABORTED", Error: "Manual", Cause: "stopped" }, "WorkflowInterruptedError"],
])("a workflow that ended as %j is reported as %s", (ended, name) => {
  expect(workflowFailure(described(ended))).toMatchObject({ name, hint: expect.stringMatching(/\w/) });
});

test.each([
  ["StepFunctions.AWSStepFunctionsException", "ServiceUnavailableError"],
  ["StepFunctions.ExecutionAlreadyExistsException", "WorkflowInterruptedError"],
])("a workflow that cannot be started because of %s is reported as %s", (error, name) => {
  const told = workflowFailure({ Error: error, Cause: "because" });
  expect(told).toMatchObject({ name, message: expect.stringContaining("because") });
});
