import { expect, test } from "vitest";
import { commandKinds } from "#shared/protocol/commands.ts";
import { type AgentAct, ConversionRun, fail, silent, succeed, throwing } from "./testing/conversion-run.ts";
import { workflowArn } from "./testing/workflow-file.ts";

const RUN_ID = "run_0kz1";
const input = { runId: RUN_ID, sourceId: "agt_source", pointId: "rp_1", disks: ["vda"], allBlocks: false };

/** A run of a protection plan on the states engine. */
class ProtectionRun extends ConversionRun {
  constructor(agents: Record<string, AgentAct[]> = {}, functions: Record<string, () => unknown> = {}) {
    super({ request: {}, agents, functions });
  }

  async run(more: object = {}): Promise<this> {
    const stateMachineArn = workflowArn("protection-run");
    this.world.engine.startExecution({
      stateMachineArn,
      name: RUN_ID,
      input: JSON.stringify({ ...input, ...more }),
    });
    await this.world.settle();
    return this;
  }

  get outcome() {
    return this.result("protection-run", RUN_ID);
  }

  /** What AWS charges for: every state that is entered, those of nested workflows too. */
  get transitions(): number {
    return ["protection-run", "hot-capture"]
      .map((name) => `${workflowArn(name).replace(":stateMachine:", ":execution:")}:${RUN_ID}`)
      .flatMap((arn) => this.world.types(arn))
      .filter((type) => type.endsWith("StateEntered")).length;
  }
}

test("a run takes a point, records its end, and costs eight transitions at most", async () => {
  const run = await new ProtectionRun().run();
  expect(run.outcome.status).toBe("SUCCEEDED");
  expect(run.dispatched.map(({ ownerId, agentId }) => [ownerId, agentId])).toContainEqual([
    ...[RUN_ID, "agt_source"],
  ]);
  expect(run.world.payloads("FinishRun")).toMatchObject([{ runId: RUN_ID, disks: [{ bytesStored: 32 }] }]);
  expect(run.world.payloads("AbandonRun")).toEqual([]);
  expect(run.transitions).toBeLessThanOrEqual(8);
});

test("the source gets the limits of the upload, by the hours of the week", async () => {
  const windows = [{ from: "08:00", to: "18:00", days: ["mon"], bytesPerSecond: 1000 }];
  const limits = { bandwidthLimitBytesPerSecond: 9, bandwidthHours: { timeZone: "Europe/Vienna", windows } };
  const run = await new ProtectionRun().run(limits);
  const [taken] = run.dispatched;
  expect(commandKinds["take-recovery-point"].input.parse(taken?.input)).toMatchObject(limits);
});

test("the point is recorded with how the source froze it, and with its hooks", async () => {
  const frozen = { from: "2030-01-01T00:00:01.000Z", until: "2030-01-01T00:00:02.000Z" };
  const facts = { frozen, hooks: { scripts: [] } };
  const run = await new ProtectionRun({ "take-recovery-point": [succeed(facts)] }).run();
  expect(run.world.payloads("RecordRecoveryPoint")).toMatchObject([
    { ownerId: RUN_ID, disks: [{ name: "vda" }], ...facts },
  ]);
  expect(run.world.payloads("FinishRun")).toMatchObject([{ freeze: { freezeMilliseconds: 0, ...facts } }]);
});

test("a failure of the source ends the run with its name, after cleaning up", async () => {
  const run = await new ProtectionRun({ "take-recovery-point": [fail("DiskNotFoundError")] }).run();
  expect(run.outcome).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
  expect(run.world.payloads("AbandonRun")).toMatchObject([{ runId: RUN_ID }]);
  expect(run.world.payloads("FinishRun")).toEqual([]);
});

test("an end that cannot be recorded cleans up, too", async () => {
  const run = await new ProtectionRun({}, { FinishRun: () => throwing("RunStoppedError") }).run();
  expect(run.outcome).toMatchObject({ status: "FAILED", error: "RunStoppedError" });
  expect(run.world.payloads("AbandonRun")).toHaveLength(1);
});

test("a source that is away is waited for", async () => {
  const run = await new ProtectionRun({ "take-recovery-point": [silent] }).run();
  await run.world.clock.advance(6 * 3_600_000);
  expect(run.outcome.status).toBe("RUNNING");
  expect(run.dispatched.length).toBeGreaterThan(100);
});

const standby = { planId: "plan_1", targetId: "agt_target" };

test("a plan with a standby has the target host apply the point", async () => {
  const run = await new ProtectionRun().run({ standby });
  const apply = run.dispatched.find(({ kind }) => kind === "apply-to-standby");
  expect(apply).toMatchObject({ ownerId: RUN_ID, agentId: "agt_target" });
  expect(commandKinds["apply-to-standby"].input.parse(apply?.input)).toEqual({
    ...{ ownerId: RUN_ID, planId: "plan_1", sourceId: "agt_source", pointId: "rp_1" },
    disks: [{ name: "vda", sizeBytes: 64 }],
  });
  const [finished] = run.world.payloads("FinishRun");
  expect(finished).toMatchObject({ runId: RUN_ID, applied: { pointId: "rp_1", bytesWritten: 8 } });
});

test.each([
  ["fails", fail("DiskFullError"), "DiskFullError"],
  ["is away", silent, "States.HeartbeatTimeout"],
])("if the target host %s, the run keeps its point and the standby stays behind", async (_, act, error) => {
  const run = await new ProtectionRun({ "apply-to-standby": [act] }).run({ standby });
  await run.world.clock.advance(30 * 60_000);
  expect(run.outcome.status).toBe("SUCCEEDED");
  const [finished] = run.world.payloads("FinishRun");
  expect(finished).toMatchObject({ runId: RUN_ID, notApplied: { Error: error } });
});
