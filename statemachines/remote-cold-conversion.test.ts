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

const text = readFileSync(join(import.meta.dirname, "remote-cold-conversion.asl.json"), "utf8");
const errors = readFileSync(join(import.meta.dirname, "../shared/errors.ts"), "utf8");

interface State {
  Type: string;
  Resource?: string;
  TimeoutSeconds?: unknown;
  Retry?: { ErrorEquals: string[] }[];
  Catch?: { ErrorEquals: string[]; Next: string }[];
  Next?: string;
}
const { States: states }: { States: Record<string, State> } = JSON.parse(text);

/** Every value of this key, anywhere in the definition. */
function all(key: string): unknown[] {
  const found: unknown[] = [];
  JSON.parse(text, (name, value) => {
    if (name === key) found.push(value);
    return value;
  });
  return found;
}

const pascal = (name: string) =>
  name.replace(/^tasks\//, "").replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
const tasks = Object.keys(environments).filter((name) => name.startsWith("tasks/"));

test("it calls every task function there is, and no other", () => {
  const called = new Set(text.match(/\$\{\w+\}/g));
  expect([...called].sort()).toEqual(tasks.map((name) => `\${${pascal(name)}FunctionArn}`).sort());
});

test("every error it names is one of ours, of the language, or of Lambda", () => {
  for (const name of [...all("ErrorEquals").flat(), ...all("Error")]) {
    if (String(name).startsWith("{%")) continue;
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
  const handledOtherwise = ["AgentSilentError", "VerificationFailedError", "DiskFullError"];
  expect(retryable.filter((name) => name && !retried.includes(name)).sort()).toEqual(handledOtherwise.sort());
});

test("every step has a limit", () => {
  JSON.parse(text, (_, value) => {
    if (value?.Type === "Task") expect(value.TimeoutSeconds).toBeDefined();
    return value;
  });
});

test("from arming until the receipt, every failure leads through bringing the machine back", () => {
  const names = Object.keys(states);
  const between = names.slice(names.indexOf("ArmBoot"), names.indexOf("RebootIntoOriginal"));
  for (const name of between) {
    const exits = states[name]?.Catch?.map(({ Next }) => Next) ?? [];
    expect(new Set(exits), name).toEqual(
      states[name]?.Type === "Choice" ? new Set() : new Set(["BringBack"]),
    );
  }
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
  label?: string;
  environment?: string;
  input: Record<string, unknown>;
  taskToken: string;
}

const SHA = "a".repeat(64);
const bootImage = {
  id: SHA,
  manifestKey: `boot-images/${SHA}/manifest.json`,
  signatureBase64: "c2ln",
  publicKeyPem: "PEM",
  files: [{ name: "vmlinuz", key: `boot-images/${SHA}/vmlinuz`, sizeBytes: 1, sha256: SHA }],
};

const outputs: Record<string, (command: Dispatched) => unknown> = {
  "stage-boot-image": () => ({ adapter: "grub", bytesStaged: 1 }),
  "arm-boot": () => ({
    adapter: "grub",
    bootId: "boot-1",
    savedStateKey: "sources/agt_source/boot-states/cnv_1.json",
    savedStateSha256: SHA,
    items: [],
  }),
  reboot: () => ({}),
  "report-boot-state": () => ({ restored: true, bootId: "boot-2", items: [], addresses: [] }),
  "capture-disk": ({ disk }) => ({
    disk: { name: disk, sizeBytes: 64, mapRoot: `root of ${disk}` },
    bytesRead: 64,
    bytesStored: 32,
    badRanges: 0,
    seconds: 1,
    bottleneck: "read",
  }),
  "commit-recovery-point": () => ({ pointId: "rp_1", createdAt: "2030-01-01T00:00:00.000Z" }),
  "attest-boot-state": () => ({ receipt: {} }),
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

const keyOf = ({ kind, label, disk }: Dispatched) => [kind, label ?? disk].filter(Boolean).join(" ");

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

class Run {
  readonly world: World;
  readonly dispatched: Dispatched[] = [];
  arn = "";

  /** `agents`: what happens to a command, time after time; the last for all further ones. */
  constructor(agents: Record<string, Agent[]> = {}, functions: Record<string, () => unknown> = {}) {
    this.world = new World({
      CheckPreflight: () => ({ warnings: [], bootImage }),
      RecordRecoveryPoint: () => ({ pointId: "rp_1" }),
      CompleteConversion: () => ({ state: "completed" }),
      AbandonConversion: () => ({ state: "failed" }),
      ...functions,
      DispatchCommand: async (command: Dispatched) => {
        this.dispatched.push(command);
        const before = this.dispatched.filter((one) => keyOf(one) === keyOf(command));
        const story = agents[keyOf(command)] ?? agents[command.kind] ?? [];
        const act = story[before.length - 1] ?? story.at(-1) ?? succeed();
        await act(command, this);
        return { commandId: "c" };
      },
    });
  }

  async start(change: object = {}): Promise<this> {
    const request = NewConversion.parse({
      type: "remote-cold",
      sourceId: "agt_source",
      targetId: "agt_target",
      deadlineSeconds: DEADLINE_MS / 1000,
      ...change,
    });
    const given = {
      id: "cnv_1",
      pointId: "rp_1",
      source: aSource(),
      bootImageId: SHA,
      requestedBy: "ada",
      now: "2030-01-01T00:00:00.000Z",
    };
    const definition = text.replace(
      /\$\{(\w+)FunctionArn\}/g,
      "arn:aws:lambda:local-1:000000000000:function:$1",
    );
    this.arn = await this.world.start(JSON.parse(definition), workflowInput(newConversion(request, given)));
    await this.world.settle();
    return this;
  }

  get commands(): string[] {
    return this.dispatched.map(keyOf);
  }

  /** The last command, which nobody has answered. */
  get waiting(): Dispatched {
    const last = this.dispatched.at(-1);
    if (!last) throw new Error("nothing was dispatched");
    return last;
  }

  get abandonedWith(): { Error: string; Cause?: string }[] {
    return this.world
      .payloads("AbandonConversion")
      .map((payload) => (payload as { error: { Error: string } }).error);
  }

  result() {
    return this.world.result(this.arn);
  }
}

test("a conversion goes through every step, and the machine is back before its clone is made", async () => {
  const run = await new Run().start({ bootCheck: true });
  expect(run.result().status).toBe("SUCCEEDED");
  expect(run.commands).toEqual([...TRIP, "materialise", "verify", "boot-check"]);
  expect(run.world.payloads("CompleteConversion")).toMatchObject([
    { conversionId: "cnv_1", captures: [{ disk: { name: "vda" } }], bootCheck: { verdict: "booted" } },
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

test("a time that has passed is now", async () => {
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

test("a machine that is heard from its original system instead fails at once, and attests", async () => {
  const run = await new Run({ "report-boot-state": [fail("BootEnvironmentSilentError")] }).start();
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootEnvironmentSilentError" });
  expect(run.commands.slice(-2)).toEqual(BACK);
});

test("a machine of which neither system is heard ends as such, with what came before", async () => {
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

test("a boot state that was not put back is not captured", async () => {
  const items = [
    { name: "/boot/grub/grubenv", equal: false },
    { name: "/boot/grub/grub.cfg", equal: true },
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
])("when %s fails the machine is brought back before the conversion ends by that name", async (key) => {
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
  "a %s ends the conversion: nothing passes over a source that may be harmed",
  async (error) => {
    const run = await new Run({ "attest-boot-state": [fail(error)] }).start();
    expect(run.result()).toMatchObject({ status: "FAILED", error });
    expect(run.commands).toEqual(TRIP);
  },
);

test("what goes wrong on the target afterwards leaves the source alone", async () => {
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
  "cancelling during %s leaves the source alone",
  async (key) => {
    const run = await new Run({ [key]: [silent] }).start({ bootCheck: true });
    await fail(CANCELLED)(run.waiting, run);
    await run.world.settle();
    expect(run.commands.at(-1)).toBe(key);
    expect(run.abandonedWith).toMatchObject([{ Error: CANCELLED }]);
  },
);

// --- The control plane ---------------------------------------------------------------------------------------------

test.each(TRIP)("a control plane that is killed during %s goes on when it is back", async (key) => {
  const run = await new Run({ [key]: [silent] }).start();
  expect(keyOf(run.waiting)).toBe(key);
  await run.world.reopen();
  await succeed()(run.waiting, run);
  await run.world.settle();
  expect(run.result().status).toBe("SUCCEEDED");
});

test("cleaning up is tried until it succeeds", async () => {
  let calls = 0;
  const flaky = () => (++calls < 4 ? throwing("UnexpectedError") : { state: "failed" });
  const agents = { "stage-boot-image": [fail("BootImageInvalidError")] };
  const run = await new Run(agents, { AbandonConversion: flaky }).start();
  await run.world.clock.advance(600_000);
  expect(run.result()).toMatchObject({ status: "FAILED", error: "BootImageInvalidError" });
});

function throwing(errorType: string): never {
  throw new HandlerError(errorType);
}
