import { expect, test } from "vitest";
import { callback, HandlerError, invoke, World } from "../testing/states-world.ts";

const processor = (states: Record<string, object>) => ({ StartAt: Object.keys(states)[0], States: states });

test("a Map gives its results in the order of the items, whatever order they ended in", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: ["a", "b", "c"],
        ItemProcessor: processor({ Ask: { ...callback("ask"), End: true } }),
        End: true,
      },
    },
  });
  const tokens = (world.payloads("ask") as { token: string }[]).map(({ token }) => token);
  for (const index of [2, 0, 1]) await world.engine.sendTaskSuccess(tokens[index] ?? "", `"${index}"`);
  await world.settle();
  expect(world.result(arn).output).toEqual(["0", "1", "2"]);
  expect(world.types(arn).filter((type) => type.startsWith("Map"))).toEqual([
    "MapStateEntered",
    "MapStateStarted",
    ...Array(3).fill("MapIterationStarted"),
    ...Array(3).fill("MapIterationSucceeded"),
    "MapStateSucceeded",
    "MapStateExited",
  ]);
});

test("MaxConcurrency bounds how many iterations run at once", async () => {
  let running = 0;
  let most = 0;
  const world: World = new World({
    work: async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => world.clock.schedule(1000, resolve));
      running--;
    },
  });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: "{% $range(1, 7, 1) %}",
        MaxConcurrency: 2,
        ItemProcessor: processor({ Work: { ...invoke("work"), End: true } }),
        Output: "{% $count($states.result) %}",
        End: true,
      },
    },
  });
  await world.clock.advance(10_000);
  expect(world.result(arn).output).toBe(7);
  expect(most).toBe(2);
});

test("an ItemSelector sees the item, its index and the Map's input", async () => {
  const world = new World();
  const arn = await world.start(
    {
      StartAt: "Each",
      States: {
        Each: {
          Type: "Map",
          Items: "{% $states.input.disks %}",
          ItemSelector: {
            disk: "{% $states.context.Map.Item.Value %}",
            at: "{% $states.context.Map.Item.Index %}",
            server: "{% $states.input.server %}",
          },
          ItemProcessor: processor({
            Keep: {
              Type: "Pass",
              Output: "{% [$states.input, $states.context.Map.Item.Index] %}",
              End: true,
            },
          }),
          End: true,
        },
      },
    },
    { server: "s", disks: ["sda", "sdb"] },
  );
  expect(world.result(arn).output).toEqual([
    [{ disk: "sda", at: 0, server: "s" }, 0],
    [{ disk: "sdb", at: 1, server: "s" }, 1],
  ]);
});

test("a Map over an empty list returns an empty array", async () => {
  const world = new World();
  const arn = await world.start(
    {
      StartAt: "Each",
      States: {
        Each: { Type: "Map", ItemProcessor: processor({ Keep: { Type: "Pass", End: true } }), End: true },
      },
    },
    [],
  );
  expect(world.result(arn).output).toEqual([]);
});

test("a failed iteration cancels its siblings, whose late callbacks find no task", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: [1, 2, 3],
        ItemProcessor: processor({ Ask: { ...callback("ask"), End: true } }),
        Catch: [{ ErrorEquals: ["DiskError"], Next: "Clean", Output: "{% $states.errorOutput.Cause %}" }],
        End: true,
      },
      Clean: { Type: "Wait", Seconds: 1, End: true },
    },
  });
  const [first, second, third] = world.payloads("ask") as { token: string }[];
  await world.engine.sendTaskSuccess(first?.token ?? "", "1");
  await world.engine.sendTaskFailure(second?.token ?? "", { error: "DiskError", cause: "gone" });
  await expect(world.engine.sendTaskSuccess(third?.token ?? "", "3")).rejects.toMatchObject({
    code: "TaskTimedOut",
  });
  await world.clock.advance(1000);
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: "gone" });
  expect(world.types(arn).filter((type) => /Failed|Aborted/.test(type))).toEqual([
    "TaskFailed",
    "MapIterationFailed",
    "TaskStateAborted",
    "MapIterationAborted",
    "MapStateFailed",
  ]);
});

test("a retried Map starts all its iterations again", async () => {
  let failures = 1;
  const world = new World({
    work: () => {
      if (failures-- > 0) throw new HandlerError("Busy");
      return "ok";
    },
  });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: [1, 2],
        ItemProcessor: processor({ Work: { ...invoke("work"), Output: "done", End: true } }),
        Retry: [{ ErrorEquals: ["Busy"], IntervalSeconds: 5 }],
        End: true,
      },
    },
  });
  expect(world.result(arn).status).toBe("RUNNING");
  await world.clock.advance(5000);
  expect(world.result(arn).output).toEqual(["done", "done"]);
});

test("an ItemSelector that fails, fails the Map and cancels what runs in it", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: [{ name: "a" }, {}],
        ItemSelector: "{% $states.context.Map.Item.Value.name %}",
        ItemProcessor: processor({ Ask: { ...callback("ask"), End: true } }),
        Catch: [{ ErrorEquals: ["States.QueryEvaluationError"], Next: "Done" }],
        End: true,
      },
      Done: { Type: "Succeed", Output: "caught" },
    },
  });
  expect(world.result(arn).output).toBe("caught");
  expect(world.types(arn)).toContain("EvaluationFailed");
  expect(world.types(arn)).toContain("MapIterationAborted");
});

test("Parallel branches get the same input and give an array of their outputs", async () => {
  const world = new World({ work: ({ n }) => n + 1 });
  const arn = await world.start(
    {
      StartAt: "Both",
      States: {
        Both: {
          Type: "Parallel",
          Arguments: { n: "{% $states.input.n * 10 %}" },
          Branches: [
            processor({ Work: { ...invoke("work"), Output: "{% $states.result.Payload %}", End: true } }),
            processor({ Keep: { Type: "Pass", End: true } }),
          ],
          Output: { both: "{% $states.result %}" },
          End: true,
        },
      },
    },
    { n: 1 },
  );
  expect(world.result(arn).output).toEqual({ both: [11, { n: 10 }] });
});

test("inner scopes read outer variables; what they assign is gone outside", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Set",
    States: {
      Set: { Type: "Pass", Assign: { base: 100 }, Next: "Both" },
      Both: {
        Type: "Parallel",
        Branches: [
          processor({
            SetA: { Type: "Pass", Assign: { inner: "{% $base + 1 %}" }, Next: "GetA" },
            GetA: { Type: "Pass", Output: "{% $inner %}", End: true },
          }),
          processor({
            SetB: { Type: "Pass", Assign: { inner: "{% $base + 2 %}" }, Next: "GetB" },
            GetB: { Type: "Pass", Output: "{% [$inner, $base] %}", End: true },
          }),
        ],
        Assign: { kept: "{% $states.result %}" },
        Next: "Look",
      },
      Look: { Type: "Pass", Output: ["{% $kept %}", "{% $exists($inner) %}"], End: true },
    },
  });
  expect(world.result(arn).output).toEqual([[101, [102, 100]], false]);
});

test("a state computes its assignments and its output from the variables before it", async () => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Set",
    States: {
      Set: { Type: "Pass", Assign: { a: 1, b: 2 }, Next: "Swap" },
      Swap: {
        Type: "Pass",
        Assign: { a: "{% $b %}", b: "{% $a %}" },
        Output: "{% [$a, $b] %}",
        Next: "Look",
      },
      Look: { Type: "Pass", Output: ["{% $states.input %}", "{% [$a, $b] %}"], End: true },
    },
  });
  expect(world.result(arn).output).toEqual([
    [1, 2],
    [2, 1],
  ]);
});

test("StopExecution during a Map ends everything in it", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: [1, 2],
        ItemProcessor: processor({ Ask: { ...callback("ask"), TimeoutSeconds: 60, End: true } }),
        Catch: [{ ErrorEquals: ["States.ALL"], Next: "Never" }],
        End: true,
      },
      Never: { Type: "Pass", End: true },
    },
  });
  const stoppedAt = await world.engine.stopExecution(arn, { error: "Cancelled", cause: "by hand" });
  expect(stoppedAt).toBe(world.clock.now());
  await world.clock.advance(120_000);
  expect(world.result(arn)).toEqual({ status: "ABORTED", error: "Cancelled", cause: "by hand" });
  expect(world.types(arn).at(-1)).toBe("ExecutionAborted");
  const [first] = world.payloads("ask") as { token: string }[];
  await expect(world.engine.sendTaskSuccess(first?.token ?? "", "1")).rejects.toMatchObject({
    code: "TaskTimedOut",
  });
  expect(await world.engine.stopExecution(arn, {})).toBe(stoppedAt);
});
