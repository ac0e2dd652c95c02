import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { callback, HandlerError, invoke, World } from "./testing/states-world.ts";

test("a machine invokes its function as its role and ends with the answer", async () => {
  const world = new World({ double: ({ n }) => n * 2 });
  const arn = await world.start(
    {
      StartAt: "Double",
      States: { Double: { ...invoke("double"), Output: "{% $states.result.Payload %}", End: true } },
    },
    { n: 21 },
  );
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: 42 });
  expect(world.functions.invocations[0]).toMatchObject({
    functionArn: "arn:aws:lambda:local-1:000000000000:function:double",
    caller: { kind: "session", roleArn: "arn:aws:iam::000000000000:role/machine", sessionName: "run" },
  });
  expect(world.types(arn)).toEqual([
    "ExecutionStarted",
    "TaskStateEntered",
    "TaskScheduled",
    "TaskStarted",
    "TaskSucceeded",
    "TaskStateExited",
    "ExecutionSucceeded",
  ]);
});

test("a task with a function's ARN passes its input to the function and returns the bare answer", async () => {
  const world = new World({ plain: (payload) => ({ got: payload }) });
  const Resource = "arn:aws:lambda:local-1:000000000000:function:plain";
  const arn = await world.start(
    { StartAt: "Plain", States: { Plain: { Type: "Task", Resource, End: true } } },
    { a: 1 },
  );
  expect(world.result(arn).output).toEqual({ got: { a: 1 } });
  expect(world.types(arn)).toContain("LambdaFunctionSucceeded");
});

test("a task with a token ends by SendTaskSuccess, which keeps the function's answer in the history", async () => {
  const world = new World({ ask: () => "asked" });
  const arn = await world.start({ StartAt: "Ask", States: { Ask: { ...callback("ask"), End: true } } });
  expect(world.result(arn).status).toBe("RUNNING");
  await world.engine.sendTaskSuccess(tokenOf(world, "ask"), '{"answer":1}');
  await world.settle();
  expect(world.result(arn).output).toEqual({ answer: 1 });
  expect(world.types(arn)).toContain("TaskSubmitted");
});

test("a function may complete its task inside its own invocation", async () => {
  const world: World = new World({
    ask: async ({ token }) => {
      await world.engine.sendTaskSuccess(token, '"from inside"');
      return "too late to matter";
    },
  });
  const arn = await world.start({ StartAt: "Ask", States: { Ask: { ...callback("ask"), End: true } } });
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: "from inside" });
  expect(world.types(arn)).not.toContain("TaskSubmitted");
});

test("a callback counts although the function that got the token fails afterwards", async () => {
  const world: World = new World({
    ask: async ({ token }) => {
      await world.engine.sendTaskSuccess(token, "1");
      throw new HandlerError("TooLate");
    },
  });
  const arn = await world.start({
    StartAt: "Ask",
    States: { Ask: { ...callback("ask"), Next: "Rest" }, Rest: { Type: "Wait", Seconds: 1, End: true } },
  });
  await world.clock.advance(1000);
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: 1 });
});

test("a typed failure sent with the token is caught by its name", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Ask",
    States: {
      Ask: {
        ...callback("ask"),
        Catch: [
          { ErrorEquals: ["OtherError"], Next: "Wrong" },
          { ErrorEquals: ["DiskError"], Next: "Right", Assign: { why: "{% $states.errorOutput.Cause %}" } },
        ],
        End: true,
      },
      Wrong: { Type: "Fail", Error: "x", Cause: "y" },
      Right: { Type: "Succeed", Output: "{% [$states.input.Error, $why] %}" },
    },
  });
  await world.engine.sendTaskFailure(tokenOf(world, "ask"), { error: "DiskError", cause: "sector 7" });
  await world.settle();
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: ["DiskError", "sector 7"] });
});

test("a second SendTaskSuccess, and one after the execution, is TaskTimedOut; an unknown token does not exist", async () => {
  const world = new World({ ask: () => null });
  const states = { Ask: { ...callback("ask"), Next: "Hold" }, Hold: { Type: "Wait", Seconds: 9, End: true } };
  await world.start({ StartAt: "Ask", States: states });
  const token = tokenOf(world, "ask");
  await world.engine.sendTaskSuccess(token, "1");
  await expect(world.engine.sendTaskSuccess(token, "1")).rejects.toMatchObject({ code: "TaskTimedOut" });
  await world.clock.advance(9000);
  await expect(world.engine.sendTaskFailure(token, {})).rejects.toMatchObject({ code: "TaskTimedOut" });
  await expect(world.engine.sendTaskHeartbeat("x".repeat(64))).rejects.toMatchObject({
    code: "TaskDoesNotExist",
  });
  await expect(world.engine.sendTaskHeartbeat("no token!")).rejects.toMatchObject({ code: "InvalidToken" });
  await expect(world.engine.sendTaskSuccess(token, "{")).rejects.toMatchObject({ code: "InvalidOutput" });
});

test("heartbeats keep a task alive, and the first missing one fails it", async () => {
  const world = new World({ ask: () => null });
  const task = {
    ...callback("ask"),
    HeartbeatSeconds: 60,
    Catch: [{ ErrorEquals: ["States.HeartbeatTimeout"], Next: "Lost" }],
  };
  const arn = await world.start({
    StartAt: "Ask",
    States: { Ask: { ...task, End: true }, Lost: { Type: "Succeed", Output: "lost" } },
  });
  const token = tokenOf(world, "ask");
  await world.clock.advance(59_000);
  await world.engine.sendTaskHeartbeat(token);
  await world.clock.advance(59_000);
  expect(world.result(arn).status).toBe("RUNNING");
  await world.clock.advance(1_000);
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: "lost" });
  await expect(world.engine.sendTaskHeartbeat(token)).rejects.toMatchObject({ code: "TaskTimedOut" });
});

test("a task that takes too long fails with States.Timeout, and its late answer is ignored", async () => {
  let answer: (value: string) => void = () => undefined;
  const world = new World({ slow: () => new Promise((resolve) => (answer = resolve)) });
  const arn = await world.start({
    StartAt: "Slow",
    States: {
      Slow: {
        ...invoke("slow"),
        TimeoutSeconds: "{% 2 + 3 %}",
        Catch: [
          { ErrorEquals: ["States.TaskFailed"], Next: "Wrong" },
          { ErrorEquals: ["States.Timeout"], Next: "Hold" },
        ],
        End: true,
      },
      Wrong: { Type: "Fail", Error: "TaskFailed must not match a timeout", Cause: "" },
      Hold: { Type: "Wait", Seconds: 5, Output: "held", End: true },
    },
  });
  await world.clock.advance(5000);
  answer("late");
  await world.clock.advance(5000);
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: "held" });
});

test("an execution that takes too long is TIMED_OUT", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Hold",
    TimeoutSeconds: 30,
    States: { Hold: { Type: "Wait", Seconds: 31, End: true } },
  });
  await world.clock.advance(30_000);
  expect(world.result(arn)).toMatchObject({ status: "TIMED_OUT", error: "States.Timeout" });
  expect(world.types(arn).at(-1)).toBe("ExecutionTimedOut");
});

test("retries happen at the retrier's times, and then Catch gets the error", async () => {
  const times: number[] = [];
  const world: World = new World({
    flaky: () => {
      times.push(world.clock.now());
      throw new HandlerError("Busy", "come back");
    },
  });
  const arn = await world.start({
    StartAt: "Flaky",
    States: {
      Flaky: {
        ...invoke("flaky", { retry: "{% $states.context.State.RetryCount %}" }),
        Retry: [
          { ErrorEquals: ["Busy"], IntervalSeconds: 2, BackoffRate: 3, MaxAttempts: 3, MaxDelaySeconds: 10 },
        ],
        Catch: [{ ErrorEquals: ["States.ALL"], Next: "Done" }],
        End: true,
      },
      Done: { Type: "Pass", End: true },
    },
  });
  await world.clock.advance(60_000);
  const [first = 0] = times;
  expect(times.map((time) => time - first)).toEqual([0, 2000, 8000, 18_000]);
  expect(world.payloads("flaky")).toEqual([{ retry: 0 }, { retry: 1 }, { retry: 2 }, { retry: 3 }]);
  const { Error: error, Cause: cause } = world.result(arn).output as Record<string, string>;
  expect(error).toBe("Busy");
  expect(JSON.parse(cause ?? "")).toEqual({ errorType: "Busy", errorMessage: "come back", trace: [] });
});

test("a function that does not exist fails its task under Lambda's name for that", async () => {
  const world = new World();
  const arn = await world.start({ StartAt: "A", States: { A: { ...invoke("missing"), End: true } } });
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "Lambda.ResourceNotFoundException" });
  expect(world.types(arn).slice(-2)).toEqual(["TaskFailed", "ExecutionFailed"]);
});

test("the same name with the same input gives the running execution; anything else exists already", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Hold",
    States: { Hold: { Type: "Wait", Seconds: 9, End: true } },
  });
  const stateMachineArn = world.engine.execution(arn).machineArn;
  expect(world.engine.startExecution({ stateMachineArn, name: "run", input: "{}" }).arn).toBe(arn);
  const refusal = expect.objectContaining({ code: "ExecutionAlreadyExists" });
  expect(() => world.engine.startExecution({ stateMachineArn, name: "run", input: "[]" })).toThrow(refusal);
  await world.clock.advance(9000);
  expect(() => world.engine.startExecution({ stateMachineArn, name: "run", input: "{}" })).toThrow(refusal);
});

test("a running execution keeps the definition that it started with", async () => {
  const world = new World();
  const machine = (output: string) => ({
    StartAt: "Hold",
    States: { Hold: { Type: "Wait", Seconds: 9, Next: "Say" }, Say: { Type: "Succeed", Output: output } },
  });
  const first = await world.start(machine("old"), {}, "first");
  const second = await world.start(machine("new"), {}, "second");
  await world.reopen();
  await world.clock.advance(9000);
  expect(world.result(first).output).toBe("old");
  expect(world.result(second).output).toBe("new");
});

test("an endless machine fails when its history is full", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Hold",
    States: {
      Hold: { Type: "Wait", Seconds: 1, Next: "A" },
      A: { Type: "Pass", Next: "B" },
      B: { Type: "Pass", Next: "A" },
    },
  });
  await fillHistory(world, arn, 24_990);
  await world.clock.advance(1000);
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.Runtime" });
  expect(world.store.history(arn, 0, 100_000, false)).toHaveLength(25_000);
  expect(world.faults).toEqual([]);
});

/** Adds `count` events to the history, as if they had already happened. */
async function fillHistory(world: World, arn: string, count: number): Promise<void> {
  const database = new DatabaseSync(world.file);
  database
    .prepare(
      `WITH RECURSIVE n (id) AS (SELECT 3 UNION ALL SELECT id + 1 FROM n WHERE id < ?)
       INSERT INTO events SELECT ?, id, id - 1, 0, 'PassStateEntered', '{}' FROM n`,
    )
    .run(count, arn);
  database.close();
  await world.reopen();
}

test("executions that ended more than 90 days ago are forgotten and free their names", async () => {
  const world = new World();
  const definition = { StartAt: "A", States: { A: { Type: "Succeed" } } };
  const arn = await world.start(definition);
  await world.clock.advance(91 * 24 * 3600 * 1000);
  await world.start(definition, {}, "other");
  expect(() => world.engine.execution(arn)).toThrow(
    expect.objectContaining({ code: "ExecutionDoesNotExist" }),
  );
  expect(world.history(arn)).toEqual([]);
});

function tokenOf(world: World, name: string): string {
  return (world.payloads(name).at(-1) as { token: string }).token;
}
