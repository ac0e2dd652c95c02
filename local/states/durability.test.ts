import { expect, test } from "vitest";
import { Store } from "./store.ts";
import { callback, HandlerError, invoke, World } from "./testing/states-world.ts";

const tokenOf = (world: World) => (world.payloads("ask").at(-1) as { token: string }).token;

test("a task waiting for its callback keeps its token and timeout over a restart", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Ask",
    States: { Ask: { ...callback("ask"), TimeoutSeconds: 100, End: true } },
  });
  const token = tokenOf(world);
  await world.reopen();
  await world.clock.advance(99_000);
  expect(world.payloads("ask")).toHaveLength(1);
  await world.engine.sendTaskSuccess(token, '"kept"');
  await world.settle();
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: "kept" });
});

test("a timeout that passes while no engine runs fires when one opens", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Ask",
    States: { Ask: { ...callback("ask"), TimeoutSeconds: 100, End: true } },
  });
  const token = tokenOf(world);
  await world.engine.close();
  await world.clock.advance(200_000);
  await world.reopen();
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.Timeout" });
  await expect(world.engine.sendTaskSuccess(token, "1")).rejects.toMatchObject({ code: "TaskTimedOut" });
});

test("a heartbeat keeps its deadline over a short restart", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Ask",
    States: { Ask: { ...callback("ask"), HeartbeatSeconds: 60, End: true } },
  });
  await world.clock.advance(30_000);
  await world.reopen();
  await world.clock.advance(29_999);
  expect(world.result(arn).status).toBe("RUNNING");
  await world.clock.advance(1);
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.HeartbeatTimeout" });
});

test("a heartbeat that fell due while no engine could take it gets one more interval", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Ask",
    States: { Ask: { ...callback("ask"), HeartbeatSeconds: 60, End: true } },
  });
  await world.engine.close();
  await world.clock.advance(3_600_000);
  await world.reopen();
  await world.clock.advance(59_999);
  expect(world.result(arn).status).toBe("RUNNING");
  await world.clock.advance(1);
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "States.HeartbeatTimeout" });
});

test.each([
  ["keeps its due time", 4000, 6000],
  ["ends at once when that is past", 60_000, 0],
])("a Wait across a restart %s", async (_, asleepMs, leftMs) => {
  const world = new World();
  const arn = await world.start({
    StartAt: "Hold",
    States: { Hold: { Type: "Wait", Seconds: 10, End: true } },
  });
  await world.engine.close();
  await world.clock.advance(asleepMs);
  await world.reopen();
  if (leftMs > 0) {
    await world.clock.advance(leftMs - 1);
    expect(world.result(arn).status).toBe("RUNNING");
    await world.clock.advance(1);
  }
  expect(world.result(arn).status).toBe("SUCCEEDED");
});

test("a retry that was due across a restart happens at its time, with its count", async () => {
  const world = new World({
    flaky: () => {
      throw new HandlerError("Busy");
    },
  });
  const Retry = [{ ErrorEquals: ["Busy"], IntervalSeconds: 10, MaxAttempts: 1 }];
  const arn = await world.start({ StartAt: "A", States: { A: { ...invoke("flaky"), Retry, End: true } } });
  await world.clock.advance(5000);
  await world.reopen();
  await world.clock.advance(4999);
  expect(world.payloads("flaky")).toHaveLength(1);
  await world.clock.advance(1);
  expect(world.payloads("flaky")).toHaveLength(2);
  expect(world.result(arn)).toMatchObject({ status: "FAILED", error: "Busy" });
});

test("a function that had not returned is invoked again, with the same payload and token", async () => {
  let hang = true;
  const world = new World({ ask: () => (hang ? new Promise(() => undefined) : null) });
  const arn = await world.start({ StartAt: "Ask", States: { Ask: { ...callback("ask"), End: true } } });
  hang = false;
  await world.reopen();
  const [before, after] = world.payloads("ask");
  expect(after).toEqual(before);
  expect(world.types(arn).filter((type) => type === "TaskScheduled")).toHaveLength(1);
  await world.engine.sendTaskSuccess(tokenOf(world), "1");
  await world.settle();
  expect(world.result(arn).status).toBe("SUCCEEDED");
});

test("a Map keeps its finished iterations over a restart and continues with the rest", async () => {
  const world = new World({ ask: () => null });
  const arn = await world.start({
    StartAt: "Each",
    States: {
      Each: {
        Type: "Map",
        Items: ["a", "b", "c"],
        MaxConcurrency: 2,
        ItemProcessor: { StartAt: "Ask", States: { Ask: { ...callback("ask"), End: true } } },
        End: true,
      },
    },
  });
  const tokens = () => (world.payloads("ask") as { token: string }[]).map(({ token }) => token);
  await world.engine.sendTaskSuccess(tokens()[1] ?? "", '"B"');
  await world.reopen();
  expect(tokens()).toHaveLength(3);
  await world.engine.sendTaskSuccess(tokens()[0] ?? "", '"A"');
  await world.engine.sendTaskSuccess(tokens()[2] ?? "", '"C"');
  await world.settle();
  expect(world.result(arn).output).toEqual(["A", "B", "C"]);
});

test("before start(), the engine accepts signals and runs nothing", async () => {
  const world = new World({ ask: () => null });
  const states = { Ask: { ...callback("ask"), Next: "Rest" }, Rest: { ...invoke("rest"), End: true } };
  const arn = await world.start({ StartAt: "Ask", States: states });
  await world.engine.close();
  world.store = new Store(world.file);
  world.engine = world.open(world.store);
  await world.engine.sendTaskSuccess(tokenOf(world), "1");
  await world.settle();
  expect(world.payloads("rest")).toEqual([]);
  world.functions.handlers.rest = () => "continued";
  world.engine.start();
  await world.settle();
  expect(world.result(arn)).toMatchObject({ status: "SUCCEEDED", output: { Payload: "continued" } });
});

/** A file that cannot be written for a while, such as on a full disk. */
class FullStore extends Store {
  full = false;
  override commit(...commit: Parameters<Store["commit"]>): void {
    if (this.full) throw new Error("database or disk is full");
    super.commit(...commit);
  }
}

test("on a full disk nothing is lost and no function runs twice, and the execution continues when there is room", async () => {
  const store: { current?: FullStore } = {};
  const world: World = new World({
    work: () => {
      if (store.current) store.current.full = true;
      return "done";
    },
  });
  await world.reopen(() => {
    store.current = new FullStore(world.file);
    return store.current;
  });
  const arn = await world.start({ StartAt: "A", States: { A: { ...invoke("work"), End: true } } });
  await world.clock.advance(10_000);
  expect(world.result(arn).status).toBe("RUNNING");
  expect(world.faults.length).toBeGreaterThan(0);
  if (store.current) store.current.full = false;
  await world.clock.advance(1000);
  expect(world.result(arn)).toMatchObject({ status: "SUCCEEDED", output: { Payload: "done" } });
  expect(world.payloads("work")).toHaveLength(1);
});

test("a callback that cannot be written is refused and can be sent again", async () => {
  const world = new World({ ask: () => null });
  const store = { current: new FullStore(":memory:") };
  await world.reopen(() => {
    store.current = new FullStore(world.file);
    return store.current;
  });
  const arn = await world.start({ StartAt: "Ask", States: { Ask: { ...callback("ask"), End: true } } });
  store.current.full = true;
  await expect(world.engine.sendTaskSuccess(tokenOf(world), "1")).rejects.toThrow("disk is full");
  store.current.full = false;
  await world.engine.sendTaskSuccess(tokenOf(world), "2");
  await world.settle();
  expect(world.result(arn)).toEqual({ status: "SUCCEEDED", output: 2 });
});
