import { expect, test } from "vitest";
import { commandKinds } from "#shared/protocol/commands.ts";
import { type AgentAct, ConversionRun, fail, silent, succeed, throwing } from "./testing/conversion-run.ts";
import { errorNames, retryableErrors, taskPlaceholders, WorkflowFile } from "./testing/workflow-file.ts";

const workflow = new WorkflowFile("hot-conversion");

test("it calls every task function there is, and no other", () => {
  expect(workflow.placeholders).toEqual(taskPlaceholders);
});

test("every error it names is one of ours, of the language, or of Lambda", () => {
  for (const name of workflow.namedErrors) {
    if (name.includes(".")) expect(name).toMatch(/^(States|Lambda|Sandbox|Runtime)\.\w+$/);
    else expect(errorNames).toContain(name);
  }
});

test("every error that may pass by itself is tried again, or has a reason not to be", () => {
  const handledOtherwise = [
    "AgentSilentError", // is States.HeartbeatTimeout here
    "TooManyEnrolmentRequestsError", // no step enrols
    "VerificationFailedError", // has the images written again
    // No source is restarted.
    ...["BootImageUnavailableError", "BootStateChangedError", "VolumeNotMountedError"],
  ];
  const { retried } = workflow;
  expect(retryableErrors.filter((name) => !retried.includes(name)).sort()).toEqual(handledOtherwise.sort());
});

test("every step has a limit, and every step that waits for an agent a heartbeat", () => {
  for (const task of workflow.tasks) {
    expect(task.TimeoutSeconds).toBeTypeOf("number");
    if (task.Resource.endsWith(".waitForTaskToken")) expect(task.HeartbeatSeconds).toBe(120);
  }
});

test("it is valid Amazon States Language", () => {
  expect(workflow.validate()).toMatchObject({ isValid: true });
});

// --- Executions, with functions and agents in memory ---------------------------------------------------------------

class Run extends ConversionRun {
  constructor(agents: Record<string, AgentAct[]> = {}, functions: Record<string, () => unknown> = {}) {
    super({ workflow, request: { type: "hot" }, agents, functions });
  }
}

test("a conversion goes through every step and ends with what came of them", async () => {
  const run = await new Run().start({ bootCheck: true, disks: ["vda", "vdb"], bootExpect: "ready" });
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands).toEqual([
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

test.each<{ bandwidthLimitBytesPerSecond?: number; allBlocks?: boolean } & Record<string, unknown>>([
  { bootCheck: true, disks: ["vda", "vdb"], bootExpect: "ready", bandwidthLimitBytesPerSecond: 1000 },
  { bootCheck: true, disks: ["vda"], allBlocks: true },
  { disks: ["vda"], format: "raw" },
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

test("verification is told of each written disk, and of no map: the recovery point has it", async () => {
  const run = await new Run().start({ disks: ["vda", "vdb"] });
  expect(run.dispatched.find(({ kind }) => kind === "verify")?.input.disks).toEqual([
    { name: "vda", path: "/images/vda", format: "qcow2", sizeBytes: 64 },
    { name: "vdb", path: "/images/vdb", format: "qcow2", sizeBytes: 64 },
  ]);
});

test("two disks are captured at once, the third when one is done", async () => {
  const run = await new Run({ "capture-disk": [silent] }).start({ disks: ["vda", "vdb", "vdc"] });
  expect(run.commands).toEqual(["capture-disk vda", "capture-disk vdb"]);
  const [first] = run.dispatched;
  if (first) await succeed()(first, run);
  await run.world.settle();
  expect(run.commands).toContain("capture-disk vdc");
});

test("preflight that fails touches nothing", async () => {
  const run = await new Run({}, { CheckPreflight: () => throwing("PreflightFailedError") }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "PreflightFailedError" });
  expect(run.dispatched).toEqual([]);
  expect(run.abandonedWith).toMatchObject([{ Error: "PreflightFailedError" }]);
});

test.each(["capture-disk", "commit-recovery-point", "materialise", "verify", "boot-check"])(
  "a %s that fails for good ends the conversion by that name, after cleaning up",
  async (kind) => {
    const run = await new Run({ [kind]: [fail("DiskNotFoundError")] }).start({ bootCheck: true });
    expect(run.result()).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
    expect(run.abandonedWith).toMatchObject([{ Error: "DiskNotFoundError" }]);
    expect(run.commands.at(-1)).toContain(kind);
  },
);

test.each(["RecordRecoveryPoint", "CompleteConversion"])(
  "a %s that fails for good cleans up as well",
  async (name) => {
    const run = await new Run({}, { [name]: () => throwing("WrongStateError") }).start();
    expect(run.result()).toMatchObject({ status: "FAILED", error: "WrongStateError" });
    expect(run.abandonedWith).toMatchObject([{ Error: "WrongStateError" }]);
  },
);

test("an operator who cancels ends the step that waits, and the conversion", async () => {
  const run = await new Run({ materialise: [silent] }).start();
  const waiting = run.dispatched.at(-1);
  expect(waiting?.kind).toBe("materialise");
  if (waiting) await fail("ConversionCancelledError")(waiting, run);
  await run.world.settle();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "ConversionCancelledError" });
  expect(run.abandonedWith).toMatchObject([{ Error: "ConversionCancelledError" }]);
});

test("a cancellation that a dispatch sees ends the conversion at once", async () => {
  const cancelled: AgentAct = () => throwing("ConversionCancelledError");
  const run = await new Run({ verify: [cancelled] }).start();
  expect(run.commands.filter((kind) => kind === "verify")).toHaveLength(1);
  expect(run.abandonedWith).toMatchObject([{ Error: "ConversionCancelledError" }]);
});

test("an agent that falls silent is asked again, and the conversion goes on when it is back", async () => {
  const run = await new Run({ "capture-disk": [silent, silent, succeed()] }).start();
  await run.world.clock.advance(119_000);
  expect(run.dispatched).toHaveLength(1);
  await run.world.clock.advance(300_000);
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands.filter((kind) => kind === "capture-disk vda")).toHaveLength(3);
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
  expect(run.abandonedWith).toMatchObject([{ Error: "States.HeartbeatTimeout" }]);
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
  expect(run.commands.filter((kind) => kind === "materialise")).toHaveLength(2);
  expect(run.abandonedWith).toMatchObject([{ Error: "VerificationFailedError" }]);
});

test("a clone that does not boot fails the conversion, with what was seen", async () => {
  const seen = { verdict: "not-booted", reason: "kernel panic", screenshotKey: "evidence/1.png" };
  const run = await new Run({ "boot-check": [succeed(seen)] }).start({ bootCheck: true });
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootCheckFailedError" });
  expect(JSON.parse(run.result().cause ?? "")).toMatchObject(seen);
  expect(run.abandonedWith).toMatchObject([{ Error: "BootCheckFailedError" }]);
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
  expect(run.abandonedWith).toMatchObject([{ Error: "ServiceUnavailableError" }]);
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
