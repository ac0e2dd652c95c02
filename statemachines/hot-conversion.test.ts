import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { HandlerError, World } from "#local/states/test-world.ts";
import { newConversion, workflowInput } from "#shared/domain/conversion.ts";
import { aSource } from "#shared/domain/testing/records.ts";
import { environments } from "#shared/environment.ts";
import { type CommandKind, commandKinds } from "#shared/protocol/commands.ts";
import { NewConversion } from "#shared/protocol/resources.ts";

const text = readFileSync(join(import.meta.dirname, "hot-conversion.asl.json"), "utf8");
const errors = readFileSync(join(import.meta.dirname, "../shared/errors.ts"), "utf8");

/** Every value of this key, anywhere in the definition. */
function all(key: string): unknown[] {
  const found: unknown[] = [];
  JSON.parse(text, (name, value) => {
    if (name === key) found.push(value);
    return value;
  });
  return found;
}

/** `tasks/check-preflight` is `CheckPreflight`. */
const pascal = (name: string) =>
  name.replace(/^tasks\//, "").replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
const tasks = Object.keys(environments).filter((name) => name.startsWith("tasks/"));

test("it calls every task function there is, and no other", () => {
  const called = new Set(text.match(/\$\{\w+\}/g));
  expect([...called].sort()).toEqual(tasks.map((name) => `\${${pascal(name)}FunctionArn}`).sort());
});

test("every error it names is one of ours, of the language, or of Lambda", () => {
  for (const name of all("ErrorEquals").flat()) {
    expect(String(name)).toMatch(/^(States|Lambda|Sandbox|Runtime)\.\w+$|^\w+Error$/);
    if (!String(name).includes(".")) expect(errors).toContain(`override readonly name = "${name}"`);
  }
});

test("every error that may pass by itself is tried again, or has a reason not to be", () => {
  const retryable = [...errors.matchAll(/name = "(\w+)";\s+readonly retryable = true/g)].map(
    ([, name]) => name,
  );
  const retried = all("Retry").flatMap((rules) =>
    (rules as { ErrorEquals: string[] }[]).flatMap((rule) => rule.ErrorEquals),
  );
  const handledOtherwise = [
    "AgentSilentError", // is States.HeartbeatTimeout here
    "VerificationFailedError", // has the images written again
    "DiskFullError", // nobody makes room within minutes
    ...["BootImageUnavailableError", "BootStateChangedError", "VolumeNotMountedError"], // no source is restarted
  ];
  expect(retryable.filter((name) => name && !retried.includes(name)).sort()).toEqual(handledOtherwise.sort());
});

test("every step has a limit, and every step that waits for an agent a heartbeat", () => {
  JSON.parse(text, (_, value) => {
    if (value?.Type === "Task") expect(value.TimeoutSeconds).toBeTypeOf("number");
    if (value?.Resource?.endsWith(".waitForTaskToken")) expect(value.HeartbeatSeconds).toBe(120);
    return value;
  });
});

test("it is valid Amazon States Language", () => {
  const validate = createRequire(import.meta.url)("asl-validator");
  expect(validate(JSON.parse(text))).toMatchObject({ isValid: true });
});

// --- Executions, with functions and agents in memory ---------------------------------------------------------------

interface Dispatched {
  conversionId: string;
  agentId: string;
  kind: CommandKind;
  disk?: string;
  round?: number;
  input: Record<string, unknown>;
  taskToken: string;
}

const outputs: Record<string, (command: Dispatched) => unknown> = {
  "capture-disk": ({ disk }) => ({
    disk: { name: disk, sizeBytes: 64, mapRoot: `root of ${disk}` },
    bytesRead: 64,
    bytesStored: 32,
    badRanges: 0,
    seconds: 1,
    bottleneck: "read",
  }),
  "commit-recovery-point": () => ({ pointId: "rp_1", createdAt: "2030-01-01T00:00:00.000Z" }),
  materialise: ({ input }) => ({
    disks: (input.disks as { name: string }[]).map(({ name }) => ({
      name,
      path: `/images/${name}`,
      format: "qcow2",
      sizeBytes: 64,
    })),
    bytesWritten: 64,
    seconds: 1,
    bottleneck: "write",
  }),
  verify: () => ({ bytesVerified: 64, seconds: 1 }),
  "boot-check": () => ({ verdict: "booted", reason: "login prompt", seconds: 5 }),
};

type Agent = (command: Dispatched, run: Run) => unknown;
/** The agent gives no sign of life. */
const silent = () => undefined;
const succeed =
  (change: object = {}): Agent =>
  (command, run) =>
    run.world.engine.sendTaskSuccess(
      command.taskToken,
      JSON.stringify({ ...(outputs[command.kind]?.(command) as object), ...change }),
    );
const fail =
  (error: string): Agent =>
  (command, run) =>
    run.world.engine.sendTaskFailure(command.taskToken, { error, cause: "{}" });

class Run {
  readonly world: World;
  readonly dispatched: Dispatched[] = [];
  arn = "";

  /** `agents`: what happens to the commands of a kind, one after the other; the last for all further ones. */
  constructor(agents: Record<string, Agent[]> = {}, tasks: Record<string, () => unknown> = {}) {
    this.world = new World({
      CheckPreflight: () => ({ warnings: [] }),
      RecordRecoveryPoint: () => ({ pointId: "rp_1" }),
      CompleteConversion: () => ({ state: "completed" }),
      AbandonConversion: () => ({ state: "failed" }),
      ...tasks,
      DispatchCommand: async (command: Dispatched) => {
        this.dispatched.push(command);
        const before = this.dispatched.filter(
          (one) => one.kind === command.kind && one.disk === command.disk,
        );
        const story = agents[command.kind] ?? [];
        const act = story[before.length - 1] ?? story.at(-1) ?? succeed();
        await act(command, this);
        return { commandId: "c" };
      },
    });
  }

  async start(change: object = {}): Promise<this> {
    const request = NewConversion.parse({
      type: "hot",
      sourceId: "agt_source",
      targetId: "agt_target",
      ...change,
    });
    const given = { id: "cnv_1", pointId: "rp_1", source: aSource(), requestedBy: "ada", now: "" };
    const definition = text.replace(
      /\$\{(\w+)FunctionArn\}/g,
      "arn:aws:lambda:local-1:000000000000:function:$1",
    );
    this.arn = await this.world.start(JSON.parse(definition), workflowInput(newConversion(request, given)));
    await this.world.settle();
    return this;
  }

  get kinds(): string[] {
    return this.dispatched.map(({ kind, disk }) => (disk ? `${kind} ${disk}` : kind));
  }

  result() {
    return this.world.result(this.arn);
  }
}

const abandonedWith = (run: Run) =>
  run.world
    .payloads("AbandonConversion")
    .map((payload) => (payload as { error: { Error: string } }).error.Error);

test("a conversion goes through every step and ends with what came of them", async () => {
  const run = await new Run().start({ bootCheck: true, disks: ["vda", "vdb"], bootExpect: "ready" });
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.kinds).toEqual([
    "capture-disk vda",
    "capture-disk vdb",
    "commit-recovery-point",
    "materialise",
    "verify",
    "boot-check",
  ]);
  expect(run.world.payloads("CompleteConversion")).toMatchObject([
    {
      conversionId: "cnv_1",
      captures: [{ disk: { name: "vda" } }, { disk: { name: "vdb" } }],
      materialised: { disks: [{ name: "vda" }, { name: "vdb" }] },
      verified: { bytesVerified: 64 },
      bootCheck: { verdict: "booted" },
    },
  ]);
  expect(run.world.payloads("AbandonConversion")).toEqual([]);
});

test.each([
  [{ bootCheck: true, disks: ["vda", "vdb"], bootExpect: "ready", bandwidthLimitBytesPerSecond: 1000 }],
  [{ bootCheck: true, disks: ["vda"], allBlocks: true }],
  [{ disks: ["vda"], format: "raw" }],
])("every command's input is what its kind takes: %j", async (change) => {
  const run = await new Run().start(change);
  expect(run.result().status).toBe("SUCCEEDED");
  for (const { kind, input, agentId } of run.dispatched) {
    const read = commandKinds[kind].input.parse(input);
    // Nothing was sent that the agent would not see.
    expect(read).toMatchObject(input);
    expect(agentId).toBe(
      ["capture-disk", "commit-recovery-point"].includes(kind) ? "agt_source" : "agt_target",
    );
  }
  const [capture] = run.dispatched;
  expect(capture?.input.bandwidthLimitBytesPerSecond).toBe(change.bandwidthLimitBytesPerSecond);
  expect(capture?.input.allBlocks).toBe(change.allBlocks ?? false);
});

test("verification is told the map of each written disk", async () => {
  const run = await new Run().start({ disks: ["vda", "vdb"] });
  expect(run.dispatched.find(({ kind }) => kind === "verify")?.input.disks).toMatchObject([
    { name: "vda", mapRoot: "root of vda" },
    { name: "vdb", mapRoot: "root of vdb" },
  ]);
});

test("two disks are captured at once, the third when one is done", async () => {
  const run = await new Run({ "capture-disk": [silent] }).start({ disks: ["vda", "vdb", "vdc"] });
  expect(run.kinds).toEqual(["capture-disk vda", "capture-disk vdb"]);
  const [first] = run.dispatched;
  if (first) await succeed()(first, run);
  await run.world.settle();
  expect(run.kinds).toContain("capture-disk vdc");
});

test("preflight that fails touches nothing", async () => {
  const run = await new Run({}, { CheckPreflight: () => throwing("PreflightFailedError") }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "PreflightFailedError" });
  expect(run.dispatched).toEqual([]);
  expect(abandonedWith(run)).toEqual(["PreflightFailedError"]);
});

test.each(["capture-disk", "commit-recovery-point", "materialise", "verify", "boot-check"])(
  "a %s that fails for good ends the conversion by that name, after cleaning up",
  async (kind) => {
    const run = await new Run({ [kind]: [fail("DiskNotFoundError")] }).start({ bootCheck: true });
    expect(run.result()).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
    expect(abandonedWith(run)).toEqual(["DiskNotFoundError"]);
    expect(run.kinds.at(-1)).toContain(kind);
  },
);

test.each(["RecordRecoveryPoint", "CompleteConversion"])(
  "a %s that fails for good cleans up as well",
  async (name) => {
    const run = await new Run({}, { [name]: () => throwing("WrongStateError") }).start();
    expect(run.result()).toMatchObject({ status: "FAILED", error: "WrongStateError" });
    expect(abandonedWith(run)).toEqual(["WrongStateError"]);
  },
);

test("an operator who cancels ends the step that waits, and the conversion", async () => {
  const run = await new Run({ materialise: [silent] }).start();
  const waiting = run.dispatched.at(-1);
  expect(waiting?.kind).toBe("materialise");
  if (waiting) await fail("ConversionCancelledError")(waiting, run);
  await run.world.settle();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "ConversionCancelledError" });
  expect(abandonedWith(run)).toEqual(["ConversionCancelledError"]);
});

test("a cancellation that a dispatch sees ends the conversion at once", async () => {
  const cancelled: Agent = () => throwing("ConversionCancelledError");
  const run = await new Run({ verify: [cancelled] }).start();
  expect(run.kinds.filter((kind) => kind === "verify")).toHaveLength(1);
  expect(abandonedWith(run)).toEqual(["ConversionCancelledError"]);
});

test("an agent that falls silent is asked again, and the conversion goes on when it is back", async () => {
  const run = await new Run({ "capture-disk": [silent, silent, succeed()] }).start();
  await run.world.clock.advance(119_000);
  expect(run.dispatched).toHaveLength(1);
  await run.world.clock.advance(300_000);
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.kinds.filter((kind) => kind === "capture-disk vda")).toHaveLength(3);
  expect(new Set(run.dispatched.map(({ taskToken }) => taskToken)).size).toBe(run.dispatched.length);
});

test("an agent that gives signs of life is not asked again, however long it takes", async () => {
  const run = await new Run({ "capture-disk": [silent] }).start();
  const [command] = run.dispatched;
  if (!command) throw new Error("nothing was dispatched");
  for (let minute = 0; minute < 60; minute++) {
    await run.world.clock.advance(60_000);
    await run.world.engine.sendTaskHeartbeat(command.taskToken);
  }
  expect(run.dispatched).toHaveLength(1);
  await succeed()(command, run);
  await run.world.settle();
  expect(run.result().status).toBe("SUCCEEDED");
});

test("an agent may be away for most of a day; one that stays away ends the conversion", async () => {
  const run = await new Run({ "capture-disk": [silent] }).start();
  await run.world.clock.advance(20 * 3600_000);
  expect(run.result().status).toBe("RUNNING");
  await run.world.clock.advance(8 * 3600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "States.HeartbeatTimeout" });
  expect(abandonedWith(run)).toEqual(["States.HeartbeatTimeout"]);
});

test("images that come back wrong are written again, once", async () => {
  const run = await new Run({ verify: [fail("VerificationFailedError"), succeed()] }).start();
  expect(run.result().status).toBe("SUCCEEDED");
  const rounds = run.dispatched.filter(({ round }) => round).map(({ kind, round }) => `${kind} ${round}`);
  expect(rounds).toEqual(["materialise 1", "verify 1", "materialise 2", "verify 2"]);
});

test("images that come back wrong twice end the conversion", async () => {
  const run = await new Run({ verify: [fail("VerificationFailedError")] }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "VerificationFailedError" });
  expect(run.kinds.filter((kind) => kind === "materialise")).toHaveLength(2);
  expect(abandonedWith(run)).toEqual(["VerificationFailedError"]);
});

test("a clone that does not boot fails the conversion, with what was seen", async () => {
  const seen = { verdict: "not-booted", reason: "kernel panic", screenshotKey: "evidence/1.png" };
  const run = await new Run({ "boot-check": [succeed(seen)] }).start({ bootCheck: true });
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootCheckFailedError" });
  expect(JSON.parse(run.result().cause ?? "")).toMatchObject(seen);
  expect(abandonedWith(run)).toEqual(["BootCheckFailedError"]);
});

test("a boot check that could not tell completes and says so", async () => {
  const run = await new Run({ "boot-check": [succeed({ verdict: "unknown" })] }).start({ bootCheck: true });
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.world.payloads("CompleteConversion")).toMatchObject([{ bootCheck: { verdict: "unknown" } }]);
});

test("a service that is briefly away is asked again", async () => {
  let calls = 0;
  const flaky = () => (++calls < 3 ? throwing("ServiceUnavailableError") : { pointId: "rp_1" });
  const run = await new Run({}, { RecordRecoveryPoint: flaky }).start();
  await run.world.clock.advance(60_000);
  expect(run.result().status).toBe("SUCCEEDED");
});

test("a cloud that an agent cannot reach is tried again for minutes, and ends the conversion by that name", async () => {
  const run = await new Run({ materialise: [fail("ServiceUnavailableError")] }).start();
  await run.world.clock.advance(60_000);
  expect(run.result().status).toBe("RUNNING");
  await run.world.clock.advance(10 * 60_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "ServiceUnavailableError" });
  expect(abandonedWith(run)).toEqual(["ServiceUnavailableError"]);
});

test("cleaning up is tried until it succeeds", async () => {
  let calls = 0;
  const flaky = () => (++calls < 4 ? throwing("UnexpectedError") : { state: "failed" });
  const run = await new Run(
    { "capture-disk": [fail("DiskNotFoundError")] },
    { AbandonConversion: flaky },
  ).start();
  await run.world.clock.advance(600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
  expect(calls).toBe(4);
});

test("a control plane that is killed while an agent works goes on when it is back", async () => {
  const run = await new Run({ "capture-disk": [silent] }).start();
  await run.world.reopen();
  const [command] = run.dispatched;
  if (command) await succeed()(command, run);
  await run.world.settle();
  expect(run.result().status).toBe("SUCCEEDED");
});

function throwing(errorType: string): never {
  throw new HandlerError(errorType);
}
