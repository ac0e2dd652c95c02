import { expect, test } from "vitest";
import { type RecoveryRecord, recoveryInput } from "#shared/domain/recovery.ts";
import { aRecovery } from "#shared/domain/testing/records.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { type AgentAct, ConversionRun, fail, silent, succeed, throwing } from "./testing/conversion-run.ts";
import { workflowArn } from "./testing/workflow-file.ts";

const RECOVERY_ID = "rcv_1";

/** A recovery on the states engine, with a target host that does what a test says. */
class RecoveryRun extends ConversionRun {
  readonly #change: Partial<RecoveryRecord>;

  constructor(
    agents: Record<string, AgentAct[]> = {},
    more: Partial<RecoveryRecord> & { functions?: Record<string, () => unknown> } = {},
  ) {
    super({ request: {}, agents, functions: more.functions ?? {} });
    const { functions: _, ...change } = more;
    this.#change = change;
  }

  async run(): Promise<this> {
    const input = JSON.stringify(recoveryInput(aRecovery(this.#change)));
    this.world.engine.startExecution({ stateMachineArn: workflowArn("recovery"), name: RECOVERY_ID, input });
    await this.world.settle();
    return this;
  }

  get outcome() {
    return this.result("recovery", RECOVERY_ID);
  }
}

test("the target host writes and verifies the disks, defines the machine, and waits for its answer", async () => {
  const recovery = await new RecoveryRun().run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(recovery.commands).toEqual(["materialise", "verify", "define-machine", "bring-up-machine"]);
  for (const { ownerId, agentId, input, kind } of recovery.dispatched) {
    expect([ownerId, agentId, input.ownerId]).toEqual([RECOVERY_ID, "agt_target", RECOVERY_ID]);
    expect(commandKinds[kind].input.safeParse(input).error, kind).toBeUndefined();
  }
  expect(recovery.dispatched[2]?.input).toMatchObject({
    disks: [{ name: "vda", path: "/images/vda" }],
    name: "pine-1",
    dryRun: false,
  });
  expect(recovery.dispatched[3]?.input).toMatchObject({ check: { kind: "console" }, timeoutSeconds: 900 });
  expect(recovery.world.payloads("FinishRecovery")).toMatchObject([
    { recoveryId: RECOVERY_ID, machine: { name: "pine-1" }, answer: { seconds: 20 } },
  ]);
  expect(recovery.world.payloads("AbandonRecovery")).toEqual([]);
});

test("a standby that is at the point is cloned, and the repository is not read", async () => {
  const recovery = await new RecoveryRun({}, { standbyPlanId: "plan_1" }).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(recovery.commands).toEqual(["clone-standby", "define-machine", "bring-up-machine"]);
  expect(recovery.dispatched[0]?.input).toMatchObject({ planId: "plan_1", pointId: "rp_1" });
  expect(recovery.dispatched[1]?.input).toMatchObject({
    disks: [{ path: "/clones/vda.raw", format: "raw" }],
  });
});

test.each([
  ["raw", "raw"],
  ["qcow2", "qcow2"],
  [undefined, "qcow2"],
] as const)(
  "if %s disks are asked for and the standby cannot be cloned, they are written as %s",
  async (format, written) => {
    const agents = { "clone-standby": [fail("StandbyNotAtPointError")] };
    const recovery = await new RecoveryRun(agents, { standbyPlanId: "plan_1", format }).run();
    const inputOf = (kind: string) => recovery.dispatched.find((one) => one.kind === kind)?.input;
    expect(inputOf("materialise")).toMatchObject({ format: written });
    expect(inputOf("define-machine")).toMatchObject({ disks: [{ format: written }] });
  },
);

test.each(["StandbyNotAtPointError", "StandbyNotOursError", "DiskFullError"])(
  "after a %s, what was cloned of the standby is removed, and the repository is read",
  async (name) => {
    const agents = { "clone-standby": [fail(name)] };
    const recovery = await new RecoveryRun(agents, { standbyPlanId: "plan_1" }).run();
    expect(recovery.outcome.status).toBe("SUCCEEDED");
    expect(recovery.commands.slice(0, 4)).toEqual(["clone-standby", "release", "materialise", "verify"]);
  },
);

test.each([
  ["materialise", "RecoveryPointUnexpectedError"],
  ["define-machine", "MachineUnsupportedError"],
  ["bring-up-machine", "MachineSilentError"],
  ["clone-standby", "RecoveryCancelledError"],
])("a failure of %s ends the recovery with its name", async (kind, name) => {
  const more = kind === "clone-standby" ? { standbyPlanId: "plan_1" } : {};
  const recovery = await new RecoveryRun({ [kind]: [fail(name)] }, more).run();
  expect(recovery.outcome).toMatchObject({ status: "FAILED", error: name });
  expect(recovery.commands.at(-1)).toBe(kind);
  expect(recovery.world.payloads("AbandonRecovery")).toMatchObject([{ recoveryId: RECOVERY_ID }]);
  expect(recovery.world.payloads("FinishRecovery")).toEqual([]);
});

test("a target host that is away while the machine starts is waited for", async () => {
  const recovery = await new RecoveryRun({ "bring-up-machine": [silent, silent, succeed()] }).run();
  expect(recovery.outcome.status).toBe("RUNNING");
  await recovery.world.clock.advance(3_600_000);
  expect(recovery.outcome.status).toBe("SUCCEEDED");
});

test("an end that cannot be recorded is a failure, and a clone whose workflow was stopped is one, too", async () => {
  const functions = { FinishRecovery: () => throwing("RecoveryCancelledError") };
  const cancelled = await new RecoveryRun({}, { functions }).run();
  expect(cancelled.outcome).toMatchObject({ status: "FAILED", error: "RecoveryCancelledError" });
  const stopped = await new RecoveryRun({ verify: [silent] }).run();
  await stopped.stop("make-clone", `${RECOVERY_ID}.1`);
  expect(stopped.outcome).toMatchObject({ status: "FAILED", error: "WorkflowInterruptedError" });
  expect(stopped.world.payloads("AbandonRecovery")).toHaveLength(1);
});

const moved = (recovery: RecoveryRun) =>
  recovery.world.payloads("MoveLease").map((payload) => (payload as { action: string }).action);

test("in production the machine starts under its source's lease, which is permanent once the machine has answered", async () => {
  const recovery = await new RecoveryRun({}, { network: "production" }).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  const lease = { sourceId: "agt_source", term: 1 };
  expect(recovery.dispatched.at(-1)).toMatchObject({ kind: "bring-up-machine", input: { lease } });
  expect(commandKinds["bring-up-machine"].input.parse(recovery.dispatched.at(-1)?.input).lease).toEqual(
    lease,
  );
  expect(moved(recovery)).toEqual(["take", "keep"]);
});

/** A recovery whose machine is isolated until its console has shown that it is up. */
const isolated = () => ({
  network: "production" as const,
  planned: { ...aRecovery().planned, isolated: true as const },
});

test("an isolated machine is connected once its lease is permanent, and the recovery waits for that", async () => {
  const agents = { "connect-machine": [fail("HypervisorFailedError"), fail("SomeError"), succeed()] };
  const recovery = await new RecoveryRun(agents, isolated()).run();
  expect(moved(recovery)).toEqual(["take", "keep"]);
  expect(recovery.outcome.status).toBe("RUNNING");
  await recovery.world.clock.advance(3_600_000);
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  const kinds = ["define-machine", "bring-up-machine", ...Array(3).fill("connect-machine")];
  expect(recovery.commands.slice(2)).toEqual(kinds);
  for (const { kind, input } of recovery.dispatched.slice(2))
    expect(commandKinds[kind].input.safeParse(input).error, kind).toBeUndefined();
  expect(recovery.dispatched[2]?.input).toMatchObject({ isolated: true });
});

test("an isolated machine that does not answer, or loses its lease, is never connected", async () => {
  const silenced = { "bring-up-machine": [fail("MachineSilentError")] };
  const functions = { MoveLease: () => ({ term: 1, seconds: 0 }) };
  const recovery = await new RecoveryRun(silenced, { ...isolated(), functions }).run();
  expect(recovery.commands.at(-1)).toBe("bring-up-machine");
  const lost = await new RecoveryRun({ "connect-machine": [fail("LeaseEndedError")] }, isolated()).run();
  expect(lost.outcome).toMatchObject({ status: "FAILED", error: "LeaseEndedError" });
});

test("a machine that is off when it is connected, because its host restarted, is started and has to answer again", async () => {
  const agents = { "connect-machine": [succeed({ power: "off" })] };
  const recovery = await new RecoveryRun(agents, isolated()).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  const again = recovery.dispatched.at(-1);
  expect(again).toMatchObject({ kind: "bring-up-machine", label: "again", input: { lease: { term: 1 } } });
  expect(commandKinds["bring-up-machine"].input.safeParse(again?.input).error).toBeUndefined();
  const silenced = { ...agents, "bring-up-machine again": [fail("MachineSilentError")] };
  const failed = await new RecoveryRun(silenced, isolated()).run();
  expect(failed.outcome).toMatchObject({ status: "FAILED", error: "MachineSilentError" });
  expect(moved(failed)).toEqual(["take", "keep"]);
});

test("on a test network no lease is moved, also if the machine does not answer", async () => {
  const recovery = await new RecoveryRun({ "bring-up-machine": [fail("MachineSilentError")] }).run();
  expect(moved(recovery)).toEqual([]);
});

test("a machine in production that does not answer gives the lease back, and the end waits until it has lapsed", async () => {
  let seconds = 75;
  const functions = { MoveLease: () => ({ term: 1, seconds }) };
  const agents = { "bring-up-machine": [fail("MachineSilentError")] };
  const recovery = await new RecoveryRun(agents, { network: "production", functions }).run();
  expect(moved(recovery)).toEqual(["take", "give-back"]);
  expect(recovery.outcome.status).toBe("RUNNING");
  seconds = 0;
  await recovery.world.clock.advance(75_000);
  expect(recovery.outcome).toMatchObject({ status: "FAILED", error: "MachineSilentError" });
  expect(moved(recovery)).toEqual(["take", "give-back", "give-back"]);
});

test("a lease that cannot be taken starts no machine", async () => {
  const functions = { MoveLease: () => throwing("WrongStateError") };
  const recovery = await new RecoveryRun({}, { network: "production", functions }).run();
  expect(recovery.outcome).toMatchObject({ status: "FAILED", error: "WrongStateError" });
  expect(recovery.commands.at(-1)).toBe("define-machine");
});

test.each([
  ["WrongStateError", "WrongStateError"],
  ["SomeError", "RecoveryCancelledError"],
])(
  "after a cancel, a lease that cannot be given back (%s) ends the recovery with %s",
  async (error, shown) => {
    const answers = [() => ({ term: 1, seconds: 0 }), () => throwing("RecoveryCancelledError")];
    const functions = { MoveLease: () => (answers.shift() ?? (() => throwing(error)))() };
    const recovery = await new RecoveryRun({}, { network: "production", functions }).run();
    expect(moved(recovery)).toEqual(["take", "keep", "give-back"]);
    expect(recovery.outcome).toMatchObject({ status: "FAILED", error: shown });
  },
);

test("the system is adapted to the defined machine before that starts, if that was asked for", async () => {
  const wanted: WantedMachine = {
    ...{ diskBus: "virtio", firmware: "bios", cardModel: "virtio", machineId: "kept", hostKeys: "kept" },
    ...{ purpose: "drill", cards: [] },
  };
  const adaptation = { sourceDisks: [{ name: "vda" }], wanted };
  const recovery = await new RecoveryRun({}, { adaptation }).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(recovery.commands.slice(2)).toEqual(["define-machine", "adapt-machine", "bring-up-machine"]);
  const { input } = recovery.dispatched[3] ?? {};
  expect(commandKinds["adapt-machine"].input.parse(input)).toMatchObject({
    ...{ ownerId: RECOVERY_ID, disks: [{ name: "vda", path: "/images/vda" }], dryRun: false, wanted },
  });
  const failed = await new RecoveryRun(
    { "adapt-machine": [fail("MachineRunningError")] },
    { adaptation },
  ).run();
  expect(failed.outcome).toMatchObject({ status: "FAILED", error: "MachineRunningError" });
  expect(failed.commands.at(-1)).toBe("adapt-machine");
});

const PROVE = { prove: { frozenFrom: "2030-01-01T00:00:00.000Z", budgetSeconds: 60 } };
const proved = (recovery: RecoveryRun) => recovery.world.payloads("RecordProof");

test("the clone is compared with its source before the machine is defined, if that was asked for", async () => {
  const recovery = await new RecoveryRun({}, PROVE).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(recovery.commands).toEqual([
    ...["materialise", "verify", "hash-files", "compare-files", "define-machine", "bring-up-machine"],
  ]);
  const [, , hash, compare] = recovery.dispatched;
  expect(hash?.agentId).toBe("agt_source");
  expect(commandKinds["hash-files"].input.parse(hash?.input)).toEqual({
    ...{ ownerId: RECOVERY_ID, pointId: "rp_1", disks: ["vda"], ...PROVE.prove },
  });
  expect(compare?.agentId).toBe("agt_target");
  expect(commandKinds["compare-files"].input.parse(compare?.input)).toMatchObject({
    ...{ ownerId: RECOVERY_ID, sourceId: "agt_source", pointId: "rp_1", files: 2 },
    disks: [{ name: "vda", path: "/images/vda" }],
  });
  expect(proved(recovery)).toMatchObject([
    { ownerId: RECOVERY_ID, pointId: "rp_1", hashed: { files: 2 }, compared: { equal: 2 } },
  ]);
});

test("a clone of a standby is compared, too", async () => {
  const recovery = await new RecoveryRun({}, { ...PROVE, standbyPlanId: "plan_1" }).run();
  expect(recovery.commands.slice(0, 3)).toEqual(["clone-standby", "hash-files", "compare-files"]);
});

test.each([
  ["hash-files", "UnknownCommandError", { failure: { Error: "UnknownCommandError" } }],
  ["compare-files", "NoBootImageError", { hashed: { files: 2 }, failure: { Error: "NoBootImageError" } }],
])("if %s fails, the proof says why, and the recovery continues", async (kind, name, found) => {
  const recovery = await new RecoveryRun({ [kind]: [fail(name)] }, PROVE).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(proved(recovery)).toMatchObject([found]);
});

test("a source that does not answer is waited for half an hour, and no file is compared then", async () => {
  const recovery = await new RecoveryRun({ "hash-files": [silent] }, PROVE).run();
  await recovery.world.clock.advance(3_600_000);
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(proved(recovery)).toMatchObject([{ failure: { Error: "States.HeartbeatTimeout" } }]);
  expect(recovery.commands).not.toContain("compare-files");
});

test("if nothing can be compared, the target host is not asked", async () => {
  const nothing = succeed({ list: undefined, files: 0 });
  const recovery = await new RecoveryRun({ "hash-files": [nothing] }, PROVE).run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(recovery.commands).not.toContain("compare-files");
  expect(proved(recovery)).toMatchObject([{ hashed: { files: 0 } }]);
});

test("a difference ends the recovery before a machine is defined", async () => {
  const functions = { RecordProof: () => throwing("CopyDiffersError") };
  const recovery = await new RecoveryRun({}, { ...PROVE, functions }).run();
  expect(recovery.outcome).toMatchObject({ status: "FAILED", error: "CopyDiffersError" });
  expect(recovery.commands.at(-1)).toBe("compare-files");
  expect(recovery.world.payloads("AbandonRecovery")).toHaveLength(1);
});

test("a proof whose outcome was lost is made again under the next number", async () => {
  const recovery = new RecoveryRun({}, PROVE);
  const lost = `${RECOVERY_ID}.1`;
  recovery.world.engine.startExecution({
    stateMachineArn: workflowArn("prove-clone"),
    name: lost,
    input: "[]",
  });
  await recovery.stop("prove-clone", lost);
  await recovery.run();
  expect(recovery.outcome.status).toBe("SUCCEEDED");
  expect(recovery.result("prove-clone", `${RECOVERY_ID}.2`).status).toBe("SUCCEEDED");
});

test("a recovery that is cancelled while files are compared, and one whose proof was stopped from outside, define no machine", async () => {
  const functions = { RecordProof: () => throwing("RecoveryCancelledError") };
  const agents = { "compare-files": [fail("RecoveryCancelledError")] };
  const cancelled = await new RecoveryRun(agents, { ...PROVE, functions }).run();
  expect(cancelled.outcome).toMatchObject({ status: "FAILED", error: "RecoveryCancelledError" });
  const stopped = await new RecoveryRun({ "compare-files": [silent] }, PROVE).run();
  await stopped.stop("prove-clone", `${RECOVERY_ID}.1`);
  expect(stopped.outcome).toMatchObject({ status: "FAILED", error: "WorkflowInterruptedError" });
  for (const recovery of [cancelled, stopped]) {
    expect(recovery.commands).not.toContain("define-machine");
    expect(recovery.world.payloads("AbandonRecovery")).toHaveLength(1);
  }
});
