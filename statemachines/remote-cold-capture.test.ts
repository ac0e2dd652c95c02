import { expect, test } from "vitest";
import { commandKinds } from "#shared/protocol/commands.ts";
import {
  type AgentAct,
  bootImage,
  ConversionRun,
  fail,
  keyOf,
  silent,
  succeed,
  throwing,
} from "./testing/conversion-run.ts";

const TRIP = [
  "stage-boot-image",
  "arm-boot",
  "reboot boot-environment",
  "report-boot-state",
  "capture-disk vda",
  "commit-recovery-point",
  "reboot original",
  "attest-boot-state",
];
const BACK = ["reboot original", "attest-boot-state"];
const DEADLINE_MS = 600_000;

class Run extends ConversionRun {
  constructor(agents: Record<string, AgentAct[]> = {}, functions: Record<string, () => unknown> = {}) {
    super({
      request: { type: "remote-cold", deadlineSeconds: DEADLINE_MS / 1000 },
      agents,
      functions,
    });
  }
}

test("a conversion goes through every step, and the machine is back before its clone is made", async () => {
  const run = await new Run().start({ bootCheck: true });
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands).toEqual([...TRIP, "materialise", "verify", "boot-check"]);
  expect(run.world.payloads("CompleteConversion")).toMatchObject([
    { conversionId: "cnv_1", disks: [{ name: "vda", sizeBytes: 64 }], bootCheck: { verdict: "booted" } },
  ]);
  expect(run.abandonedWith).toEqual([]);
});

test("every command goes to the system that it is for, with the input that its kind takes", async () => {
  const run = await new Run().start({ bootCheck: true, allBlocks: true, bandwidthLimitBytesPerSecond: 9 });
  for (const command of run.dispatched) {
    expect(commandKinds[command.kind].input.parse(command.input)).toMatchObject(command.input);
  }
  const inBootEnvironment = run.dispatched.filter(({ environment }) => environment === "boot-environment");
  expect(inBootEnvironment.map(keyOf)).toEqual([
    "report-boot-state",
    "capture-disk vda",
    "commit-recovery-point",
    "reboot original",
  ]);
  const input = (key: string) => run.dispatched.find((command) => keyOf(command) === key)?.input;
  expect(input("stage-boot-image")).toMatchObject({ bootImage });
  expect(input("arm-boot")).toMatchObject({ deadlineSeconds: 600 });
  expect(input("reboot boot-environment")).toMatchObject({ into: "boot-environment", bootId: "boot-1" });
  expect(input("attest-boot-state")).toMatchObject({ requestedBy: "ada" });
});

test("preflight that fails touches nothing", async () => {
  const run = await new Run({}, { CheckPreflight: () => throwing("PreflightFailedError") }).start();
  expect(run.commands).toEqual([]);
  expect(run.abandonedWith).toMatchObject([{ Error: "PreflightFailedError" }]);
});

test("a boot image with a wrong hash is not staged, and nothing is armed", async () => {
  const run = await new Run({ "stage-boot-image": [fail("BootImageInvalidError")] }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootImageInvalidError" });
  expect(run.commands).toEqual(["stage-boot-image"]);
  expect(run.abandonedWith).toMatchObject([{ Error: "BootImageInvalidError" }]);
});

// --- The time ------------------------------------------------------------------------------------------------------

test("a machine is armed only at the time that was chosen, long after its image was staged", async () => {
  const run = await new Run().start({ startAt: "2030-01-01T02:00:00.000Z" });
  const startMs = Date.parse("2030-01-01T02:00:00.000Z");
  expect(run.commands).toEqual(["stage-boot-image"]);
  await run.world.clock.advance(startMs - run.world.clock.now() - 1000);
  expect(run.commands).toEqual(["stage-boot-image"]);
  await run.world.reopen();
  await run.world.clock.advance(2000);
  expect(run.result().status).toBe("SUCCEEDED");
});

test("a conversion that is stopped while it waits for its start time stops the waiting execution, too", async () => {
  const run = await new Run().start({ startAt: "2030-01-01T02:00:00.000Z" });
  await run.stop("conversion");
  expect(run.result("remote-cold-capture").status).toBe("ABORTED");
  await run.world.clock.advance(24 * 3600_000);
  expect(run.commands).toEqual(["stage-boot-image"]);
});

test("a start time that has passed does not delay the restart", async () => {
  const run = await new Run().start({ startAt: "2000-01-01T02:00:00.000Z" });
  expect(run.result().status).toBe("SUCCEEDED");
});

test("a source that is away at its time is not restarted hours later", async () => {
  const run = await new Run({ "arm-boot": [silent], "attest-boot-state": [silent] }).start();
  await run.world.clock.advance(2 * 3600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "OriginalSystemSilentError" });
  expect(run.commands).not.toContain("reboot boot-environment");
});

// --- What goes wrong after arming ----------------------------------------------------------------------------------

test("a boot environment that is silent past its deadline ends with the machine brought back", async () => {
  const run = await new Run({ "report-boot-state": [silent] }).start();
  await run.world.clock.advance(DEADLINE_MS - 1000);
  expect(run.result().status).toBe("RUNNING");
  await run.world.clock.advance(2000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootEnvironmentSilentError" });
  expect(run.commands).toEqual([...TRIP.slice(0, 4), ...BACK]);
  expect(run.abandonedWith).toMatchObject([{ Error: "BootEnvironmentSilentError" }]);
});

test("if the original system reports instead, the step fails at once, and the machine attests", async () => {
  const run = await new Run({ "report-boot-state": [fail("BootEnvironmentSilentError")] }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootEnvironmentSilentError" });
  expect(run.commands.slice(-2)).toEqual(BACK);
});

test("if neither system reports, the conversion fails and names the earlier failure", async () => {
  const run = await new Run({
    "report-boot-state": [silent],
    "reboot original": [silent],
    "attest-boot-state": [silent],
  }).start();
  await run.world.clock.advance(4 * DEADLINE_MS);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "OriginalSystemSilentError" });
  const [failure] = run.abandonedWith;
  expect(JSON.parse(failure?.Cause ?? "")).toMatchObject({ Error: "BootEnvironmentSilentError" });
});

test("if the boot state was not restored, nothing is captured", async () => {
  const items = [
    { name: "/boot/grub/grubenv", outcome: "different" },
    { name: "/boot/grub/grub.cfg", outcome: "changed-by-others" },
    { name: "/boot/grub/custom.cfg", outcome: "equal" },
  ];
  const run = await new Run({ "report-boot-state": [succeed({ restored: false, items })] }).start();
  expect(run.commands).toEqual([...TRIP.slice(0, 4), ...BACK]);
  expect(run.abandonedWith).toEqual([
    { Error: "BootStateNotRestoredError", Cause: '["/boot/grub/grubenv"]' },
  ]);
});

test.each([
  "arm-boot",
  "reboot boot-environment",
  "report-boot-state",
  "capture-disk vda",
  "commit-recovery-point",
])("when %s fails, the machine is brought back before the conversion ends with that error", async (key) => {
  const run = await new Run({ [key]: [fail("DiskNotFoundError")] }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "DiskNotFoundError" });
  expect(run.commands).toEqual([...TRIP.slice(0, TRIP.indexOf(key) + 1), ...BACK]);
  expect(run.abandonedWith).toMatchObject([{ Error: "DiskNotFoundError" }]);
});

test("a recovery point that cannot be recorded still has the machine brought back", async () => {
  const run = await new Run({}, { RecordRecoveryPoint: () => throwing("WrongStateError") }).start();
  expect(run.commands.slice(-2)).toEqual(BACK);
  expect(run.abandonedWith).toMatchObject([{ Error: "WrongStateError" }]);
});

test("a machine that was restarted without an answer is waited for in its original system", async () => {
  const run = await new Run({ "reboot original": [silent] }).start();
  await run.world.clock.advance(DEADLINE_MS * 2);
  expect(run.result().status).toBe("SUCCEEDED");
});

test("an original system that stays silent ends the conversion, and its recovery point is recorded", async () => {
  const run = await new Run({ "attest-boot-state": [silent] }).start();
  expect(run.commands).toEqual(TRIP);
  await run.world.clock.advance(DEADLINE_MS + 1000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "OriginalSystemSilentError" });
  expect(run.world.payloads("RecordRecoveryPoint")).toHaveLength(1);
});

test.each(["BootStateDiffersError", "BootReceiptInvalidError"])(
  "a %s ends the conversion, because the source may be harmed",
  async (error) => {
    const run = await new Run({ "attest-boot-state": [fail(error)] }).start();
    expect(run.result()).toMatchObject({ status: "FAILED", error });
    expect(run.commands).toEqual(TRIP);
  },
);

test("a later failure on the target does not affect the source", async () => {
  const run = await new Run({ materialise: [fail("DiskFullError")] }).start();
  expect(run.commands).toEqual([...TRIP, "materialise"]);
  expect(run.abandonedWith).toMatchObject([{ Error: "DiskFullError" }]);
});

test("a network that is away for a while does not end a capture", async () => {
  const run = await new Run({ "capture-disk vda": [silent, silent, succeed()] }).start();
  await run.world.clock.advance(400_000);
  expect(run.result().status).toBe("SUCCEEDED");
});

test("a machine that never comes back from a capture ends the conversion within hours, not days", async () => {
  const run = await new Run({
    "capture-disk vda": [silent],
    "reboot original": [silent],
    "attest-boot-state": [silent],
  }).start();
  await run.world.clock.advance(4 * 3600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "OriginalSystemSilentError" });
});

// --- Cancelling ----------------------------------------------------------------------------------------------------

const CANCELLED = "ConversionCancelledError";

test("cancelling while the image is staged ends it there", async () => {
  const run = await new Run({ "stage-boot-image": [fail(CANCELLED)] }).start();
  expect(run.commands).toEqual(["stage-boot-image"]);
  expect(run.abandonedWith).toMatchObject([{ Error: CANCELLED }]);
});

test.each([
  "arm-boot",
  "reboot boot-environment",
  "report-boot-state",
  "capture-disk vda",
  "commit-recovery-point",
])("cancelling during %s brings the machine back first", async (key) => {
  const run = await new Run({ [key]: [silent] }).start();
  await fail(CANCELLED)(run.waiting, run);
  await run.world.settle();
  expect(run.commands).toEqual([...TRIP.slice(0, TRIP.indexOf(key) + 1), ...BACK]);
  expect(run.abandonedWith).toMatchObject([{ Error: CANCELLED }]);
});

test("cancelling between two steps brings the machine back as well", async () => {
  const run = await new Run({ "capture-disk vda": [() => throwing(CANCELLED)] }).start();
  expect(run.commands.slice(-2)).toEqual(BACK);
  expect(run.abandonedWith).toMatchObject([{ Error: CANCELLED }]);
});

test.each(["materialise", "verify", "boot-check"])(
  "cancelling during %s does not affect the source",
  async (key) => {
    const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
    await fail(CANCELLED)(run.waiting, run);
    await run.world.settle();
    expect(run.commands.at(-1)).toBe(key);
    expect(run.abandonedWith).toMatchObject([{ Error: CANCELLED }]);
  },
);

// --- The control plane ---------------------------------------------------------------------------------------------

test.each(TRIP)("a control plane that is killed during %s continues when it is back", async (key) => {
  const run = await new Run({ [key]: [silent] }).start();
  expect(keyOf(run.waiting)).toBe(key);
  await run.world.reopen();
  await succeed()(run.waiting, run);
  await run.world.settle();
  expect(run.result().status).toBe("SUCCEEDED");
});

test.each(["materialise", "verify", "boot-check"])(
  "a control plane that is killed during %s leaves the source alone and continues",
  async (key) => {
    const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
    await run.world.reopen();
    await run.answer();
    expect(run.result().status).toBe("SUCCEEDED");
    expect(run.commands).toEqual([...TRIP, "materialise", "verify", "boot-check"]);
  },
);

test.each(["materialise", "verify", "boot-check"])(
  "a clone that is stopped during %s leaves the source alone",
  async (key) => {
    const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
    await run.stop("make-clone", "cnv_1.1");
    expect(run.commands.at(-1)).toBe(key);
    expect(run.result().error).toBe("WorkflowInterruptedError");
  },
);

test.each([
  "arm-boot",
  "reboot boot-environment",
  "report-boot-state",
  "capture-disk vda",
  "reboot original",
])(
  "a capture that is stopped during %s has the conversion cleaned up, which orders the machine back",
  async (key) => {
    const run = await new Run({ [key]: [silent] }).start();
    await run.stop("remote-cold-capture");
    expect(run.abandonedWith).toMatchObject([{ Error: "WorkflowInterruptedError" }]);
    expect(run.commands.at(-1)).toBe(key);
  },
);

test("cleaning up is tried until it succeeds", async () => {
  let calls = 0;
  const flaky = () => (++calls < 4 ? throwing("UnexpectedError") : { state: "failed" });
  const agents = { "stage-boot-image": [fail("BootImageInvalidError")] };
  const run = await new Run(agents, { AbandonConversion: flaky }).start();
  await run.world.clock.advance(600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootImageInvalidError" });
});
