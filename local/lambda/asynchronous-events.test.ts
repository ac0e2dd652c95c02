import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";
import { anyone, iotRule, LambdaWorld } from "./testing/lambda-world.ts";

const worlds: LambdaWorld[] = [];
function startWorld(options?: ConstructorParameters<typeof LambdaWorld>[0]): LambdaWorld {
  const world = new LambdaWorld(options);
  worlds.push(world);
  return world;
}
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.lambda.close()));
});

const failing = `export const handler = async (event, context) => {
  console.log(JSON.stringify({ attempt: event.n, id: context.awsRequestId }));
  throw new Error("not today");
};`;

test("an event that fails runs again after one and two minutes under the same request id, then is logged as lost", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction("failing", failing);
  world.lambda.start();
  world.lambda.enqueue({ functionArn, payload: { n: 1 }, caller: anyone });
  await world.log.contains("not today", 1);
  await world.clock.advance(59_999);
  expect(world.log.lines.filter(({ line }) => JSON.stringify(line).includes("not today"))).toHaveLength(1);
  await world.clock.advance(1);
  await world.log.contains("not today", 2);
  await world.clock.advance(120_000);
  await world.log.contains("asynchronous event lost: it failed 3 times");
  const ids = world.log.lines.filter(({ line }) => JSON.stringify(line).includes("attempt"));
  expect(new Set(ids.map(({ line }) => JSON.stringify(line.message))).size).toBe(1);
});

test("the function's own limits on retries and age are honoured", async () => {
  const world = startWorld();
  const once = await world.addFunction("once", failing);
  await world.provision("AWS::Lambda::EventInvokeConfig", "Once", {
    FunctionName: "once",
    Qualifier: "$LATEST",
    MaximumRetryAttempts: 0,
  });
  const young = await world.addFunction("young", failing);
  await world.provision("AWS::Lambda::EventInvokeConfig", "Young", {
    FunctionName: "young",
    Qualifier: "$LATEST",
    MaximumEventAgeInSeconds: 90,
  });
  world.lambda.start();
  world.lambda.enqueue({ functionArn: once, payload: {}, caller: anyone });
  await world.log.contains("lost: it failed 1 times");
  world.log.lines.length = 0;
  world.lambda.enqueue({ functionArn: young, payload: {}, caller: anyone });
  await world.log.contains("not today");
  await world.clock.advance(60_000);
  await world.log.contains("lost: it is older than 90 s");
});

test("events wait for their turn instead of being throttled, and none is lost", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "serial",
    `let busy = false; export const handler = async ({ n }) => {
      if (busy) throw new Error("two at once"); busy = true;
      await new Promise((resolve) => setTimeout(resolve, 1)); busy = false; console.log("done-" + n); };`,
    { ReservedConcurrentExecutions: 1 },
  );
  world.lambda.start();
  for (let n = 0; n < 25; n++) world.lambda.enqueue({ functionArn, payload: { n }, caller: anyone });
  await world.log.contains("done-", 25);
  expect(world.log.lines.map(({ line }) => line.message)).toEqual(
    Array.from({ length: 25 }, (_, n) => `done-${n}`),
  );
});

test("a caller that may not invoke a function may not queue an event for it", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction("guarded", failing);
  expect(() => world.lambda.enqueue({ functionArn, payload: {}, caller: iotRule })).toThrow(
    expect.objectContaining({ code: "AccessDeniedException" }),
  );
  const huge = { functionArn, payload: "x".repeat(1024 * 1024), caller: anyone };
  expect(() => world.lambda.enqueue(huge)).toThrow(expect.objectContaining({ status: 413 }));
});

test("events that were waiting or running when it stopped run after the next start", async () => {
  const first = startWorld();
  const hanging = `export const handler = async () => { console.log("hanging"); await new Promise(() => {}); };`;
  const functionArn = await first.addFunction("later", hanging);
  first.lambda.start();
  first.lambda.enqueue({ functionArn, payload: { n: 1 }, caller: anyone });
  await first.log.contains("hanging");
  await first.lambda.close();
  worlds.splice(0);

  const second = startWorld({ directory: first.directory, clock: first.clock });
  await second.addFunction("later", `export const handler = async ({ n }) => console.log("ran " + n);`);
  second.lambda.enqueue({ functionArn, payload: { n: 2 }, caller: anyone });
  expect(second.log.lines).toEqual([]);
  second.lambda.start();
  await second.log.contains("ran 1");
  await second.log.contains("ran 2");
});

test("an event whose function was deleted is logged as lost and removed", async () => {
  const first = startWorld();
  const functionArn = await first.addFunction("gone", failing);
  first.lambda.enqueue({ functionArn, payload: {}, caller: anyone });
  await first.lambda.close();
  worlds.splice(0);
  const second = startWorld({ directory: first.directory, clock: first.clock });
  second.lambda.start();
  await second.log.contains("its function cannot be invoked");
});

test("queued events survive kill -9", async () => {
  const directory = mkdtempSync(join(tmpdir(), "lambda-queue-"));
  const script = join(directory, "enqueue.ts");
  const queueModule = new URL("./event-queue.ts", import.meta.url).href;
  writeFileSync(
    script,
    `import { EventQueue } from ${JSON.stringify(queueModule)};
    const queue = new EventQueue(${JSON.stringify(join(directory, "events.sqlite"))});
    for (let n = 0; ; n++) {
      queue.add({ id: String(n), functionArn: "f", payload: "{}", enqueuedAt: n, dueAt: n, failures: 0 });
      process.stdout.write(n + "\\n");
    }`,
  );
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
    if (output.includes("\n20\n")) child.kill("SIGKILL");
  });
  await once(child, "close");
  const acknowledged = output.split("\n").slice(0, -1).length;
  const queue = new EventQueue(join(directory, "events.sqlite"));
  const found: string[] = [];
  for (let event = queue.next(1e12, found, []); event; event = queue.next(1e12, found, []))
    found.push(event.id);
  queue.close();
  expect(found.length).toBeGreaterThanOrEqual(acknowledged);
  expect(found.slice(0, 21)).toEqual(Array.from({ length: 21 }, (_, n) => String(n)));
});
