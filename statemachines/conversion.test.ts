import { expect, test } from "vitest";
import { aDisk, anInventory, aSource } from "#shared/domain/testing/records.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import {
  type AgentAct,
  ConversionRun,
  fail,
  failureNamed,
  keyOf,
  silent,
  succeed,
  throwing,
} from "./testing/conversion-run.ts";
import { workflowArn } from "./testing/workflow-file.ts";

class Run extends ConversionRun {
  constructor(agents: Record<string, AgentAct[]> = {}, functions: Record<string, () => unknown> = {}) {
    super({ request: { type: "hot" }, agents, functions });
  }
}

test("a conversion goes through every step and ends with the results of all of them", async () => {
  const run = await new Run().start({ bootCheck: true, disks: ["vda", "vdb"], bootExpect: "ready" });
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands).toEqual(["take-recovery-point", "materialise", "verify", "boot-check"]);
  expect(run.world.payloads("CompleteConversion")).toMatchObject([
    {
      conversionId: "cnv_1",
      disks: [
        { name: "vda", sizeBytes: 64 },
        { name: "vdb", sizeBytes: 64 },
      ],
      materialised: { disks: [{ name: "vda" }, { name: "vdb" }] },
      verified: { bytesVerified: 64 },
      bootCheck: { verdict: "booted" },
    },
  ]);
  expect(run.world.payloads("AbandonConversion")).toEqual([]);
});

test("a conversion ends with how the source froze its disks, and with its hooks", async () => {
  const frozen = { from: "2030-01-01T00:00:01.000Z", until: "2030-01-01T00:00:02.000Z" };
  const freeze = { freezeMilliseconds: 7, frozen, hooks: { scripts: [] } };
  const run = await new Run({ "take-recovery-point": [succeed(freeze)] }).start();
  expect(run.world.payloads("CompleteConversion")).toMatchObject([{ freeze }]);
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
    expect(agentId).toBe(kind === "take-recovery-point" ? "agt_source" : "agt_target");
  }
  const [capture] = run.dispatched;
  expect(capture?.input.bandwidthLimitBytesPerSecond).toBe(change.bandwidthLimitBytesPerSecond);
  expect(capture?.input.allBlocks).toBe(change.allBlocks ?? false);
});

test("verification gets each written disk but no map, which is in the recovery point", async () => {
  const run = await new Run().start({ disks: ["vda", "vdb"] });
  expect(run.dispatched.find(({ kind }) => kind === "verify")?.input.disks).toEqual([
    { name: "vda", path: "/images/vda", format: "qcow2", sizeBytes: 64 },
    { name: "vdb", path: "/images/vdb", format: "qcow2", sizeBytes: 64 },
  ]);
});

test("preflight that fails touches nothing", async () => {
  const run = await new Run({}, { CheckPreflight: () => throwing("PreflightFailedError") }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "PreflightFailedError" });
  expect(run.dispatched).toEqual([]);
  expect(run.abandonedWith).toMatchObject([{ Error: "PreflightFailedError" }]);
});

test.each(["take-recovery-point", "materialise", "verify", "boot-check"])(
  "a permanent failure of %s ends the conversion with that name, after cleaning up",
  async (kind) => {
    const run = await new Run({ [kind]: [fail("DiskNotFoundError")] }).start({ bootCheck: true });
    expect(run.result()).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
    expect(run.abandonedWith).toMatchObject([{ Error: "DiskNotFoundError" }]);
    expect(run.commands.at(-1)).toContain(kind);
    // Hint and details of the agent, through whichever workflow it worked for.
    expect(JSON.parse(run.result().cause ?? "")).toEqual(failureNamed("DiskNotFoundError"));
  },
);

test.each(["RecordRecoveryPoint", "CompleteConversion"])(
  "a permanent failure of %s cleans up, too",
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

test("an agent that stops reporting gets the command again, and the conversion continues when it is back", async () => {
  const run = await new Run({ "take-recovery-point": [silent, silent, succeed()] }).start();
  await run.world.clock.advance(119_000);
  expect(run.dispatched).toHaveLength(1);
  await run.world.clock.advance(300_000);
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands.filter((kind) => kind === "take-recovery-point")).toHaveLength(3);
  expect(new Set(run.dispatched.map(({ taskToken }) => taskToken)).size).toBe(run.dispatched.length);
});

test("an agent that sends heartbeats does not get the command again, however long it takes", async () => {
  const run = await new Run({ "take-recovery-point": [silent] }).start();
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
  const run = await new Run({ "take-recovery-point": [silent] }).start();
  await run.world.clock.advance(20 * 3600_000);
  expect(run.result().status).toBe("RUNNING");
  await run.world.clock.advance(8 * 3600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "AgentSilentError" });
  expect(run.abandonedWith).toMatchObject([{ Error: "States.HeartbeatTimeout" }]);
});

test("images whose verification fails are written a second time", async () => {
  const run = await new Run({ verify: [fail("VerificationFailedError"), succeed()] }).start();
  expect(run.result().status).toBe("SUCCEEDED");
  const rounds = run.dispatched.filter(({ round }) => round).map(({ kind, round }) => `${kind} ${round}`);
  expect(rounds).toEqual(["materialise 1", "verify 1", "materialise 2", "verify 2"]);
});

test("images whose verification fails twice end the conversion", async () => {
  const run = await new Run({ verify: [fail("VerificationFailedError")] }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "VerificationFailedError" });
  expect(run.commands.filter((kind) => kind === "materialise")).toHaveLength(2);
  expect(run.abandonedWith).toMatchObject([{ Error: "VerificationFailedError" }]);
});

test("a clone that does not boot fails the conversion, with what was seen", async () => {
  const seen = { verdict: "not-booted", reason: "kernel panic", screenshotKey: "evidence/1.png" };
  const run = await new Run({ "boot-check": [succeed(seen)] }).start({ bootCheck: true });
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootCheckFailedError" });
  const { reason, ...details } = seen;
  expect(JSON.parse(run.result().cause ?? "")).toMatchObject({
    message: expect.stringContaining(reason),
    details,
  });
  expect(run.abandonedWith).toMatchObject([{ Error: "BootCheckFailedError" }]);
});

test("a boot check gets the disks that the source's system started from, also if it is one", async () => {
  for (const mounted of [["vdb"], ["vda", "vdb"], []]) {
    const disks = ["vda", "vdb"].map((name) =>
      aDisk(name, { mountPoints: mounted.includes(name) ? ["/"] : [] }),
    );
    const source = aSource({ inventory: anInventory({ disks }) });
    const run = await new ConversionRun({
      request: { type: "hot" },
      agents: {},
      functions: {},
      source,
    }).start({
      bootCheck: true,
    });
    const { input } = run.dispatched.find(({ kind }) => kind === "boot-check") ?? {};
    expect(input?.systemDisks).toEqual(mounted);
  }
});

test("a boot check without a verdict completes the conversion, which says so", async () => {
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

test("a step whose agent cannot reach the cloud is repeated for minutes, and then ends the conversion with that error", async () => {
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
    { "take-recovery-point": [fail("DiskNotFoundError")] },
    { AbandonConversion: flaky },
  ).start();
  await run.world.clock.advance(600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
  expect(calls).toBe(4);
});

// --- The control plane, and the workflows beside each other ------------------------------------------------

const WORK = ["take-recovery-point", "materialise", "verify", "boot-check"];
const CLONE_WORK = WORK.slice(1);
const CLONE = "cnv_1.1";

test.each(WORK)("a control plane that is killed during %s continues when it is back", async (key) => {
  const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
  expect(keyOf(run.waiting)).toBe(key);
  await run.world.reopen();
  await run.answer();
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands).toEqual(WORK);
});

test("a start that is repeated finds the conversion that runs, and its clone is made once", async () => {
  const run = await new Run({ materialise: [silent] }).start();
  await run.begin();
  await run.answer();
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands.filter((key) => key === "materialise")).toHaveLength(1);
});

test.each(CLONE_WORK)("a conversion that is stopped during %s also stops its clone", async (key) => {
  const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
  await run.stop("conversion");
  expect(run.result().status).toBe("ABORTED");
  expect(run.result("make-clone", CLONE).status).toBe("ABORTED");
  await expect(run.answer()).rejects.toMatchObject({ code: "TaskTimedOut" });
});

test.each(CLONE_WORK)(
  "a clone that is stopped during %s ends its conversion, after cleaning up",
  async (key) => {
    const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
    await run.stop("make-clone", CLONE);
    expect(run.result()).toMatchObject({ status: "FAILED", error: "WorkflowInterruptedError" });
    expect(run.abandonedWith).toMatchObject([{ Cause: expect.stringContaining(CLONE) }]);
  },
);

test("a clone whose outcome was lost is made again under the next number", async () => {
  const run = new Run();
  run.world.engine.startExecution({ stateMachineArn: workflowArn("make-clone"), name: CLONE, input: "[]" });
  await run.stop("make-clone", CLONE);
  await run.start();
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.result("make-clone", "cnv_1.2").status).toBe("SUCCEEDED");
});

test("a capture whose outcome was lost is not made again", async () => {
  const run = new Run();
  run.world.engine.startExecution({
    stateMachineArn: workflowArn("hot-capture"),
    name: "cnv_1",
    input: "[]",
  });
  await run.stop("hot-capture");
  await run.start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "WorkflowInterruptedError" });
  expect(run.commands).toEqual([]);
  expect(run.abandonedWith).toHaveLength(1);
});

test("a failure of the greatest length that Step Functions accepts keeps its name and hint", async () => {
  const failure = { ...failureNamed("DiskFullError"), message: '"'.repeat(7000) };
  const long: AgentAct = ({ taskToken }, { world }) =>
    world.engine.sendTaskFailure(taskToken, { error: failure.name, cause: JSON.stringify(failure) });
  const run = await new Run({ materialise: [long] }).start({
    disks: Array.from({ length: 60 }, (_, index) => `disk-with-a-long-name-${index}`),
  });
  expect(run.result().error).toBe("DiskFullError");
  expect(JSON.parse(run.result().cause ?? "")).toEqual(failure);
});
