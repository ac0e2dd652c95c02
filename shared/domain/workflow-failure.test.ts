import { expect, test } from "vitest";
import { DiskNotFoundError, failureOf, PreflightFailedError } from "../errors.ts";
import { workflowFailure } from "./workflow-failure.ts";

test("an agent's failure is told as it was reported", () => {
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
])("%s is told as %s", (error, name) => {
  expect(workflowFailure({ Error: error, Cause: "" })).toMatchObject({
    name,
    hint: expect.stringMatching(/\w/),
  });
});

test("an error that nobody foresaw keeps its words", () => {
  const failure = workflowFailure({ Error: "Lambda.Unknown", Cause: "The process exited" });
  expect(failure.name).toBe("UnexpectedError");
  expect(failure.message).toContain("Lambda.Unknown: The process exited");
});

test("a clone that did not boot is told with where to look", () => {
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
  "a wait that the workflow itself calls %s is told with what to do",
  (name) => {
    expect(workflowFailure({ Error: name, Cause: "" })).toMatchObject({
      name,
      hint: expect.stringContaining("console"),
    });
  },
);

test("an original system that stays silent after something else went wrong tells both", () => {
  const before = { Error: "BootEnvironmentSilentError", Cause: "" };
  const failure = workflowFailure({ Error: "OriginalSystemSilentError", Cause: JSON.stringify(before) });
  expect(failure.name).toBe("OriginalSystemSilentError");
  expect(failure.message).toContain("after BootEnvironmentSilentError: the boot environment did not report");
});

test("a boot state that was not put back names the items", () => {
  const failure = workflowFailure({ Error: "BootStateNotRestoredError", Cause: '["/boot/grub/grubenv"]' });
  expect(failure).toMatchObject({
    name: "BootStateNotRestoredError",
    message: expect.stringContaining("/boot/grub/grubenv"),
  });
});
