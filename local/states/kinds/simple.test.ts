import { expect, test } from "vitest";
import { World } from "../testing/states-world.ts";

test.each([
  [5, "small"],
  [50, "big"],
  [500, "none"],
])("a Choice over %i takes the first rule that holds, with that rule's output", async (n, expected) => {
  const world = new World();
  const arn = await world.start(
    {
      StartAt: "Which",
      States: {
        Which: {
          Type: "Choice",
          Choices: [
            { Condition: "{% $states.input.n < 10 %}", Next: "Say", Output: "small" },
            { Condition: "{% $states.input.n < 100 %}", Next: "Say", Output: "big", Assign: { seen: true } },
          ],
          Default: "Say",
          Output: "none",
        },
        Say: { Type: "Succeed" },
      },
    },
    { n },
  );
  expect(world.result(arn).output).toBe(expected);
});

test("a Choice without a match and a Default fails", async () => {
  const world = new World();
  const rule = { Condition: "{% false %}", Next: "End" };
  const arn = await world.start({
    StartAt: "Which",
    States: { Which: { Type: "Choice", Choices: [rule] }, End: { Type: "Succeed" } },
  });
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.NoChoiceMatched" });
});

test("a condition that gives no boolean is an evaluation error", async () => {
  const world = new World();
  const rule = { Condition: "{% 1 %}", Next: "End" };
  const arn = await world.start({
    StartAt: "Which",
    States: { Which: { Type: "Choice", Choices: [rule] }, End: { Type: "Succeed" } },
  });
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.QueryEvaluationError" });
});

test("Wait waits for seconds or until a time, both of which may be computed", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Seconds",
    States: {
      Seconds: { Type: "Wait", Seconds: "{% 2 * 5 %}", Next: "Until" },
      Until: { Type: "Wait", Timestamp: "{% $fromMillis($millis() + 20000) %}", End: true },
    },
  });
  await world.clock.advance(29_999);
  expect(world.result(arn).status).toBe("RUNNING");
  await world.clock.advance(1);
  expect(world.result(arn).status).toBe("SUCCEEDED");
});

test("a wait of a fraction of a second is an evaluation error", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Hold",
    States: { Hold: { Type: "Wait", Seconds: "{% 0.5 %}", End: true } },
  });
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.QueryEvaluationError" });
});

test("Fail ends the execution with its error and cause", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Give up",
    States: { "Give up": { Type: "Fail", Error: "{% 'Disk' & 'Error' %}", Cause: "no disk" } },
  });
  expect(world.result(arn)).toEqual({ status: "FAILED", error: "DiskError", cause: "no disk" });
});

test("an output above 256 KiB ends the execution, past Catch", async () => {
  const world = new World();
  const Output = "{% $join($map($range(1, 1000, 1), function($i) { $pad('x', 300) })) %}";
  const arn = await world.start({ StartAt: "Big", States: { Big: { Type: "Pass", Output, End: true } } });
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.DataLimitExceeded" });
});
