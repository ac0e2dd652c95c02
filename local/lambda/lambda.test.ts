import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { anyone, iotRule, LambdaWorld, sessionOf } from "./testing/lambda-world.ts";

const worlds: LambdaWorld[] = [];
function startWorld(options?: ConstructorParameters<typeof LambdaWorld>[0]): LambdaWorld {
  const world = new LambdaWorld(options);
  worlds.push(world);
  return world;
}
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.lambda.close()));
});

test("a handler gets the event and a context, and its answer comes back", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "echo",
    `export const handler = async (event, context) => ({
      event,
      name: context.functionName,
      arn: context.invokedFunctionArn,
      memory: context.memoryLimitInMB,
      hasRequestId: context.awsRequestId.length === 36,
      hasTime: context.getRemainingTimeInMillis() > 1000,
    });`,
    { MemorySize: 256 },
  );
  const { payload, functionError } = await world.lambda.invoke({
    functionArn,
    payload: { n: [1] },
    caller: anyone,
  });
  expect(functionError).toBeUndefined();
  expect(payload).toEqual({
    event: { n: [1] },
    name: "echo",
    arn: functionArn,
    memory: "256",
    hasRequestId: true,
    hasTime: true,
  });
});

test("a CommonJS handler runs in spite of any package.json in a folder above it", async () => {
  const world = startWorld();
  writeFileSync(join(world.directory, "package.json"), JSON.stringify({ type: "module" }));
  mkdirSync(join(world.directory, "common"));
  writeFileSync(join(world.directory, "common", "other.js"), "exports.name = (file) => [file, module.id];");
  const functionArn = await world.addFunction(
    "common",
    `const { name } = require("./other.js");
    exports.handler = async () => name(require("node:path").basename(__filename));`,
    {},
    "index.js",
  );
  expect((await world.lambda.invoke({ functionArn, payload: {}, caller: anyone })).payload).toEqual([
    "index.js",
    join(world.directory, "common", "other.js"),
  ]);
});

test("a function sees its declared variables, its role's keys and the gateway, and nothing of this process", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction("env", "export const handler = async () => process.env;", {
    Environment: { Variables: { TABLE: "things" } },
  });
  process.env.OF_THE_PARENT = "secret";
  const { payload } = await world.lambda.invoke({ functionArn, payload: {}, caller: anyone });
  delete process.env.OF_THE_PARENT;
  expect(payload).toMatchObject({
    TABLE: "things",
    AWS_ACCESS_KEY_ID: "ASIA1",
    AWS_SESSION_TOKEN: "token",
    AWS_REGION: "local-1",
    AWS_LAMBDA_FUNCTION_NAME: "env",
    AWS_ENDPOINT_URL: "http://127.0.0.1:4510",
  });
  expect(payload).not.toHaveProperty("OF_THE_PARENT");
  expect(payload).not.toHaveProperty("HOME");
});

test("an environment is reused while it is warm, and replaced before its keys expire or when it was idle for long", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction("count", "let n = 0; export const handler = async () => ++n;");
  const invoke = async (): Promise<unknown> =>
    (await world.lambda.invoke({ functionArn, payload: {}, caller: anyone })).payload;
  expect(await invoke()).toBe(1);
  expect(await invoke()).toBe(2);
  await world.clock.advance(5 * 60_000);
  expect(await invoke()).toBe(1);
  for (let minutes = 0; minutes < 4 * 60; minutes += 4) {
    await world.clock.advance(4 * 60_000);
    await invoke();
  }
  expect(world.roles.issued).toBe(3);
});

test("two functions, and two environments of one, share no globals", async () => {
  const world = startWorld();
  const source = `export const handler = async ({ wait }) => {
    globalThis.seen = (globalThis.seen ?? 0) + 1;
    process.env.SEEN = (process.env.SEEN ?? "") + "x";
    if (wait) await new Promise((resolve) => setTimeout(resolve, 20));
    return globalThis.seen + process.env.SEEN;
  };`;
  const first = await world.addFunction("first", source);
  const second = await world.addFunction("second", source);
  const answers = await Promise.all(
    [first, first, second].map((functionArn) =>
      world.lambda.invoke({ functionArn, payload: { wait: true }, caller: anyone }),
    ),
  );
  expect(answers.map(({ payload }) => payload)).toEqual(["1x", "1x", "1x"]);
});

test("an error of a handler keeps its name, and the environment continues", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "thrower",
    `class SourceNotFoundError extends Error { name = "SourceNotFoundError"; }
    let n = 0;
    export const handler = async () => { n++; if (n === 1) throw new SourceNotFoundError("no source s-1"); return n; };`,
  );
  const failed = await world.lambda.invoke({ functionArn, payload: {}, caller: anyone });
  expect(failed.functionError).toBe("Unhandled");
  expect(failed.payload).toMatchObject({
    errorType: "SourceNotFoundError",
    errorMessage: "no source s-1",
    trace: expect.arrayContaining([expect.stringContaining("no source s-1")]),
  });
  expect((await world.lambda.invoke({ functionArn, payload: {}, caller: anyone })).payload).toBe(2);
});

test("a handler that takes too long is stopped, even in an endless loop, and the next event gets a new environment", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "slow",
    `import { writeSync } from "node:fs";
    export const handler = async ({ loop }) => { if (!loop) return "fine"; console.log("looping");
      await new Promise((resolve) => setTimeout(resolve)); for (;;); };`,
    { Timeout: 7 },
  );
  const invocation = world.lambda.invoke({ functionArn, payload: { loop: true }, caller: anyone });
  await world.log.contains("looping");
  await world.clock.advance(7000);
  expect((await invocation).payload).toEqual({
    errorType: "Sandbox.Timedout",
    errorMessage: expect.stringMatching(
      /^RequestId: [0-9a-f-]{36} Error: Task timed out after 7\.00 seconds$/,
    ),
  });
  expect((await world.lambda.invoke({ functionArn, payload: {}, caller: anyone })).payload).toBe("fine");
});

test.each([
  ["process.exit(3)", "Runtime.ExitError", /exit status 3/],
  [
    "Promise.reject(new Error('lost')); await new Promise(() => {})",
    "Runtime.UnhandledPromiseRejection",
    /lost/,
  ],
  ["setTimeout(() => { throw new TypeError('late') }); await new Promise(() => {})", "TypeError", /late/],
])("a crash by %s ends the environment and is reported as %s", async (statement, errorType, message) => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "crash",
    `export const handler = async ({ crash }) => { if (crash) { ${statement} } return "fine"; };`,
  );
  const crashed = await world.lambda.invoke({ functionArn, payload: { crash: true }, caller: anyone });
  expect(crashed.functionError).toBe("Unhandled");
  expect(crashed.payload).toMatchObject({ errorType, errorMessage: expect.stringMatching(message) });
  expect((await world.lambda.invoke({ functionArn, payload: {}, caller: anyone })).payload).toBe("fine");
});

test("a handler that needs more memory than declared dies alone", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "hungry",
    `export const handler = async ({ eat }) => { const kept = []; while (eat) kept.push(new Array(100_000).fill({})); };`,
  );
  const died = await world.lambda.invoke({ functionArn, payload: { eat: true }, caller: anyone });
  expect(died.payload).toMatchObject({
    errorType: "Runtime.ExitError",
    errorMessage: expect.stringContaining("memory"),
  });
  expect((await world.lambda.invoke({ functionArn, payload: {}, caller: anyone })).payload).toBeNull();
});

test.each([
  ["index.handler", "index.mjs", "export const other = 1;", "Runtime.HandlerNotFound"],
  ["index.handler", "main.mjs", "export const handler = async () => 1;", "Runtime.ImportModuleError"],
  ["index.handler", "index.mjs", "export const handler = async ( => 1;", "Runtime.UserCodeSyntaxError"],
  [
    "index.handler",
    "index.mjs",
    "export const handler = (a, b, callback) => callback();",
    "Runtime.CallbackHandlerDeprecated",
  ],
  ["handler", "index.mjs", "export const handler = async () => 1;", "Runtime.MalformedHandlerName"],
])("handler %s in %s with code %j is refused as %s", async (handler, file, source, errorType) => {
  const world = startWorld();
  const functionArn = await world.addFunction("broken", source, { Handler: handler }, file);
  const { payload } = await world.lambda.invoke({ functionArn, payload: {}, caller: anyone });
  expect(payload).toMatchObject({ errorType });
});

test("a package that is not in the function's code is missing, even if it is installed further up", async () => {
  const world = startWorld();
  const installed = join(world.directory, "node_modules", "installed");
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(installed, "package.json"), JSON.stringify({ name: "installed", main: "index.js" }));
  writeFileSync(join(installed, "index.js"), "module.exports = 1;");
  for (const [name, source] of [
    ["imports.mjs", "import 'installed'; export const handler = async () => 1;"],
    ["requires.js", "require('installed'); exports.handler = async () => 1;"],
  ] as const) {
    const [stem = ""] = name.split(".");
    const functionArn = await world.addFunction(stem, source, { Handler: `${stem}.handler` }, name);
    const { payload } = await world.lambda.invoke({ functionArn, payload: {}, caller: anyone });
    expect(payload).toMatchObject({ errorType: "Runtime.ImportModuleError" });
    expect(payload).toMatchObject({ errorMessage: expect.stringContaining("bundle it") });
  }
});

test("a call beyond the reserved concurrency is refused, and accepted once another one has ended", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction(
    "one",
    `export const handler = async ({ ms }) => { console.log("in"); await new Promise((r) => setTimeout(r, ms)); return "done"; };`,
    { ReservedConcurrentExecutions: 1 },
  );
  const invoke = (ms: number) => world.lambda.invoke({ functionArn, payload: { ms }, caller: anyone });
  const first = invoke(50);
  await world.log.contains("in");
  await expect(invoke(0)).rejects.toMatchObject({ code: "TooManyRequestsException", status: 429 });
  expect((await first).payload).toBe("done");
  expect((await invoke(0)).payload).toBe("done");
});

test("calls beyond this machine's own limits wait for their turn, and are refused after a time limit", async () => {
  const world = startWorld({ limits: { maxEnvironments: 2, patienceMs: 1000 } });
  const source = `export const handler = async ({ hang }) => { console.log("in"); if (hang) await new Promise(() => {}); return "done"; };`;
  const hanging = await world.addFunction("hanging", source, { Timeout: 900 });
  const quick = await world.addFunction("quick", source);
  const invoke = (functionArn: string, hang = false) =>
    world.lambda.invoke({ functionArn, payload: { hang }, caller: anyone });
  void invoke(hanging, true);
  await world.log.contains("in");
  const answers = await Promise.all([invoke(quick), invoke(quick), invoke(quick)]);
  expect(answers.map(({ payload }) => payload)).toEqual(["done", "done", "done"]);
  // Ending the other function's idle environment makes room.
  void invoke(hanging, true);
  await world.log.contains("in", 5);
  const refused = expect(invoke(quick)).rejects.toMatchObject({ code: "TooManyRequestsException" });
  await Promise.all([refused, world.clock.advance(1000)]);
});

test("only sessions with a grant and services with a permission for their source may invoke", async () => {
  const world = startWorld();
  const functionArn = await world.addFunction("guarded", "export const handler = async () => 'in';");
  const invoke = (caller: typeof anyone | typeof iotRule) =>
    world.lambda.invoke({ functionArn, payload: {}, caller });
  const granted = sessionOf({ Effect: "Allow", Action: "lambda:InvokeFunction", Resource: functionArn });
  const other = sessionOf({ Effect: "Allow", Action: "lambda:InvokeFunction", Resource: `${functionArn}2` });
  expect((await invoke(granted)).payload).toBe("in");
  await expect(invoke(other)).rejects.toMatchObject({ code: "AccessDeniedException" });
  await expect(invoke(iotRule)).rejects.toMatchObject({ code: "AccessDeniedException" });
  await world.provision("AWS::Lambda::Permission", "Allow", {
    Action: "lambda:InvokeFunction",
    FunctionName: functionArn,
    Principal: "iot.amazonaws.com",
    SourceArn: iotRule.sourceArn.replace("progress", "pro*"),
  });
  expect((await invoke(iotRule)).payload).toBe("in");
  const stranger = { ...iotRule, sourceArn: iotRule.sourceArn.replace("progress", "other") };
  await expect(invoke(stranger)).rejects.toMatchObject({ code: "AccessDeniedException" });
  const disguised = { ...iotRule, service: "sns.amazonaws.com" };
  await expect(invoke(disguised)).rejects.toMatchObject({ code: "AccessDeniedException" });
  const missing = { functionArn: `${functionArn}2`, payload: {}, caller: anyone };
  await expect(world.lambda.invoke(missing)).rejects.toMatchObject({ code: "ResourceNotFoundException" });
});

test("properties that are not supported, and variables that Lambda reserves, stop the start", async () => {
  const world = startWorld();
  const code = "export const handler = async () => 1;";
  await expect(world.addFunction("layered", code, { Layers: ["x"] })).rejects.toThrow("Layers");
  await expect(world.addFunction("old", code, { Runtime: "nodejs18.x" })).rejects.toThrow("Runtime");
  const reserved = { Environment: { Variables: { AWS_REGION: "x" } } };
  await expect(world.addFunction("reserved", code, reserved)).rejects.toThrow("AWS_REGION");
});
