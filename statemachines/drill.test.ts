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
