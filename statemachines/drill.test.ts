import { expect, test } from "vitest";
import { type DrillRecord, drillInput } from "#shared/domain/drill.ts";
import { aDrill } from "#shared/domain/testing/records.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import { type AgentAct, ConversionRun, fail, silent, succeed, throwing } from "./testing/conversion-run.ts";
import { workflowArn } from "./testing/workflow-file.ts";

const DRILL_ID = "drl_1";
const ADAPTATION: NonNullable<DrillRecord["adaptation"]> = {
  sourceDisks: [{ name: "vda", serial: "S1" }],
  wanted: {
    ...{ diskBus: "sata", firmware: "bios", cardModel: "virtio", cards: [] },
    ...{ machineId: "kept", hostKeys: "kept", purpose: "drill" },
  },
};

/** A drill on the states engine, with a target host that does what a test says. */
class DrillRun extends ConversionRun {
  constructor(agents: Record<string, AgentAct[]> = {}, functions: Record<string, () => unknown> = {}) {
    super({ request: {}, agents, functions });
  }

  async run(change: Partial<DrillRecord> = {}): Promise<this> {
    const input = JSON.stringify(drillInput(aDrill({ bootExpect: "ready", ...change })));
    this.world.engine.startExecution({ stateMachineArn: workflowArn("drill"), name: DRILL_ID, input });
    await this.world.settle();
    return this;
  }

  get outcome() {
    return this.result("drill", DRILL_ID);
  }
}

test("the target host makes a clone, boots it, and removes it after the verdict is recorded", async () => {
  const drill = await new DrillRun().run();
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands).toEqual(["materialise", "verify", "boot-check", "release"]);
  for (const { ownerId, agentId, input } of drill.dispatched)
    expect([ownerId, agentId, input.ownerId]).toEqual([DRILL_ID, "agt_target", DRILL_ID]);
  expect(drill.dispatched[2]?.input).toMatchObject({ expect: "ready", firmware: "bios", memoryMiB: 1024 });
  expect(drill.world.payloads("RecordVerdict")).toMatchObject([
    { drillId: DRILL_ID, bootCheck: { verdict: "booted" } },
  ]);
  expect(drill.world.payloads("FinishDrill")).toEqual([{ drillId: DRILL_ID }]);
  expect(drill.world.payloads("AbandonDrill")).toEqual([]);
});

test("the clone's system is adapted before it boots, if that was asked for, with the disks that were verified", async () => {
  const drill = await new DrillRun().run({ adaptation: ADAPTATION });
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands).toEqual(["materialise", "verify", "adapt-machine", "boot-check", "release"]);
  const { input = {} } = drill.dispatched.find(({ kind }) => kind === "adapt-machine") ?? {};
  expect(commandKinds["adapt-machine"].input.parse(input)).toMatchObject({
    ...{ ownerId: DRILL_ID, disks: [{ name: "vda", path: "/images/vda" }], dryRun: false },
    ...ADAPTATION,
  });
});

test.each(["NoBootImageError", "SystemNotAdaptedError"])(
  "a clone that is not adapted (%s) is not booted as it is",
  async (name) => {
    const drill = await new DrillRun({ "adapt-machine": [fail(name)] }).run({ adaptation: ADAPTATION });
    expect(drill.outcome).toMatchObject({ status: "FAILED", error: name });
    expect(drill.commands).not.toContain("boot-check");
    expect(drill.world.payloads("AbandonDrill")).toMatchObject([{ drillId: DRILL_ID }]);
  },
);

test.each(["not-booted", "unknown"])("the verdict %s completes the drill, too", async (verdict) => {
  const drill = await new DrillRun({ "boot-check": [succeed({ verdict, reason: "kernel panic" })] }).run();
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands.at(-1)).toBe("release");
  expect(drill.world.payloads("RecordVerdict")).toMatchObject([{ bootCheck: { verdict } }]);
});

test.each([
  ["materialise", "RecoveryPointUnexpectedError"],
  ["verify", "VerificationFailedError"],
  ["boot-check", "ImagesNotOursError"],
  // A command for a drill that an operator cancelled.
  ["boot-check", "DrillCancelledError"],
])("a failure of %s ends the drill with its name, after cleaning up", async (kind, name) => {
  const drill = await new DrillRun({ [kind]: [fail(name)] }).run();
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: name });
  expect(drill.world.payloads("AbandonDrill")).toMatchObject([{ drillId: DRILL_ID }]);
  expect(drill.world.payloads("RecordVerdict")).toEqual([]);
  expect(drill.world.payloads("FinishDrill")).toEqual([]);
});

test("a clone that cannot be removed at first is removed later, and the verdict was recorded before", async () => {
  const drill = await new DrillRun({ release: [fail("ImagesNotOursError"), succeed()] }).run();
  expect(drill.outcome.status).toBe("RUNNING");
  expect(drill.world.payloads("RecordVerdict")).toHaveLength(1);
  await drill.world.clock.advance(3_600_000);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.world.payloads("FinishDrill")).toHaveLength(1);
});

test("a clone that cannot be removed for hours ends the drill with the failure, after its verdict", async () => {
  const drill = await new DrillRun({ release: [fail("ImagesNotOursError")] }).run();
  await drill.world.clock.advance(24 * 3_600_000);
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: "ImagesNotOursError" });
  expect(drill.commands.filter((kind) => kind === "release")).toHaveLength(7);
  expect(drill.world.payloads("RecordVerdict")).toHaveLength(1);
  expect(drill.world.payloads("AbandonDrill")).toHaveLength(1);
});

test("a drill that is cancelled while its clone is removed does not wait", async () => {
  const drill = await new DrillRun({ release: [fail("DrillCancelledError")] }).run();
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: "DrillCancelledError" });
});

test("an end that cannot be recorded cleans up, too", async () => {
  const drill = await new DrillRun({}, { FinishDrill: () => throwing("DrillCancelledError") }).run();
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: "DrillCancelledError" });
  expect(drill.world.payloads("AbandonDrill")).toHaveLength(1);
});

test("a clone whose workflow was stopped from outside fails the drill and is removed", async () => {
  const drill = await new DrillRun({ "boot-check": [silent] }).run();
  await drill.stop("make-clone", `${DRILL_ID}.1`);
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: "WorkflowInterruptedError" });
  expect(drill.world.payloads("AbandonDrill")).toHaveLength(1);
});

test("a target host that is away is waited for before its clone is removed", async () => {
  const drill = await new DrillRun({ release: [silent, silent, succeed()] }).run();
  expect(drill.outcome.status).toBe("RUNNING");
  await drill.world.clock.advance(3_600_000);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands.filter((kind) => kind === "release")).toHaveLength(3);
});

const PROVE = { prove: { frozenFrom: "2030-01-01T00:00:00.000Z", budgetSeconds: 60 } };
const proved = (drill: DrillRun) => drill.world.payloads("RecordProof");
const PROVED = ["materialise", "verify", "hash-files", "compare-files", "boot-check", "release"];

test("files of the clone are compared with the source's before its system is adapted and booted, if that was asked for", async () => {
  const drill = await new DrillRun().run({ ...PROVE, adaptation: ADAPTATION });
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands).toEqual(PROVED.toSpliced(4, 0, "adapt-machine"));
  const [, , hash, compare] = drill.dispatched;
  expect(hash?.agentId).toBe("agt_source");
  expect(commandKinds["hash-files"].input.parse(hash?.input)).toEqual({
    ...{ ownerId: DRILL_ID, pointId: "rp_1", disks: ["vda"], ...PROVE.prove },
  });
  expect(compare?.agentId).toBe("agt_target");
  expect(commandKinds["compare-files"].input.parse(compare?.input)).toMatchObject({
    ...{ ownerId: DRILL_ID, sourceId: "agt_source", pointId: "rp_1", files: 2 },
    disks: [{ name: "vda", path: "/images/vda" }],
  });
  expect(proved(drill)).toMatchObject([{ ownerId: DRILL_ID, pointId: "rp_1", compared: { equal: 2 } }]);
});

test("a source that is away for longer than half an hour makes the proof unknown, and the clone is booted", async () => {
  const drill = await new DrillRun({ "hash-files": [silent] }).run(PROVE);
  await drill.world.clock.advance(3_600_000);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(proved(drill)).toMatchObject([{ failure: { Error: "States.HeartbeatTimeout" } }]);
  expect(drill.commands).not.toContain("compare-files");
  expect(drill.world.payloads("RecordVerdict")).toHaveLength(1);
});

test("a source that was away for some minutes is read when it is back", async () => {
  const drill = await new DrillRun({ "hash-files": [silent, silent, succeed()] }).run(PROVE);
  await drill.world.clock.advance(1_200_000);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(proved(drill)).toMatchObject([{ compared: { equal: 2 } }]);
});

test("a point of a schedule that is of no instant is not compared, and its clone is booted", async () => {
  const drill = await new DrillRun().run({ prove: { budgetSeconds: 60 } });
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands).toEqual(["materialise", "verify", "boot-check", "release"]);
  expect(proved(drill)).toEqual([{ ownerId: DRILL_ID, pointId: "rp_1" }]);
});

test("a difference ends the drill before the clone is adapted or booted, and the clone is removed", async () => {
  const functions = { RecordProof: () => throwing("CopyDiffersError") };
  const drill = await new DrillRun({}, functions).run({ ...PROVE, adaptation: ADAPTATION });
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: "CopyDiffersError" });
  expect(drill.commands.at(-1)).toBe("compare-files");
  expect(drill.world.payloads("AbandonDrill")).toHaveLength(1);
  expect(drill.world.payloads("RecordVerdict")).toEqual([]);
});

test("a target host that is killed while it compares does so again when it is back", async () => {
  const drill = await new DrillRun({ "compare-files": [silent, succeed()] }).run(PROVE);
  expect(drill.outcome.status).toBe("RUNNING");
  await drill.world.clock.advance(600_000);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.commands).toEqual(PROVED.toSpliced(4, 0, "compare-files"));
  expect(proved(drill)).toMatchObject([{ compared: { equal: 2 } }]);
});

test("a target host that fails while it compares makes the proof unknown, with the reason", async () => {
  const drill = await new DrillRun({ "compare-files": [fail("GuestEndedError")] }).run(PROVE);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(proved(drill)).toMatchObject([{ hashed: { files: 2 }, failure: { Error: "GuestEndedError" } }]);
});

test("a proof whose outcome was lost is made again under the next number", async () => {
  const drill = new DrillRun();
  const lost = `${DRILL_ID}.1`;
  drill.world.engine.startExecution({
    stateMachineArn: workflowArn("prove-clone"),
    name: lost,
    input: "[]",
  });
  await drill.stop("prove-clone", lost);
  await drill.run(PROVE);
  expect(drill.outcome.status).toBe("SUCCEEDED");
  expect(drill.result("prove-clone", `${DRILL_ID}.2`).status).toBe("SUCCEEDED");
});

test("a drill that is cancelled while files are compared boots nothing", async () => {
  const functions = { RecordProof: () => throwing("DrillCancelledError") };
  const drill = await new DrillRun({ "hash-files": [fail("DrillCancelledError")] }, functions).run(PROVE);
  expect(drill.outcome).toMatchObject({ status: "FAILED", error: "DrillCancelledError" });
  expect(drill.commands).not.toContain("boot-check");
});
