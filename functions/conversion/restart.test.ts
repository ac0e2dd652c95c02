/** A source that is restarted twice: its events, in every order in which a machine that may lose its power can send them. */
import { beforeEach, expect, test } from "vitest";
import { workflowInput } from "#shared/domain/conversion.ts";
import { untouchedMachine } from "#shared/domain/source-machine.ts";
import { aConversion, anInventory } from "#shared/domain/testing/records.ts";
import { ConversionCancelledError, failureOf } from "#shared/errors.ts";
import type { BootReceipt } from "#shared/protocol/boot-receipt.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { AgentEnvironment } from "#shared/protocol/machine.ts";
import * as agentEvents from "../ingest/agent-events.ts";
import * as abandonConversion from "../tasks/abandon-conversion.ts";
import { run as dispatchCommand, Input } from "../tasks/dispatch-command.ts";
import { aDevice, aReceipt, type TestDevice } from "../testing/device.ts";
import { World } from "../testing/world.ts";
import { cancelConversion } from "./cancel.ts";

const conversionId = "cnv_1";
const SHA = "a".repeat(64);
const BOOT = "boot-environment" as const;
const ORIGINAL = "original" as const;

let device: TestDevice;
let world: World;

beforeEach(async () => {
  device ??= await aDevice();
  world = await World.start();
  const { certificateId, certificatePem } = device;
  await world.enrolled({ source: { activeConversionId: conversionId, certificateId, certificatePem } });
  const machine = untouchedMachine("2030-01-01T00:00:00.000Z");
  await world.store.conversions.add(aConversion({ type: "remote-cold", machine }));
  await world.workflow.start(conversionId, {});
});

const conversion = () => world.store.conversions.get(conversionId);
const machine = async () => {
  const { is, bootState } = (await conversion()).machine ?? {};
  return `${is}, ${bootState}`;
};
const outcome = (token: string) => world.steps.outcomes.get(token);
const heard = () => world.agents.messagesFor("agt_source").map((one) => one.replace("cnv_1.", ""));

/** The workflow's step: the token is the kind, with the label if there is one. */
async function ask(
  kind: CommandKind,
  { label, environment, input = {} }: { label?: string; environment?: AgentEnvironment; input?: object } = {},
): Promise<string> {
  const taskToken = [kind, label].filter(Boolean).join(" ");
  world.steps.waiting.add(taskToken);
  const request = { conversionId, agentId: "agt_source", kind, taskToken };
  await dispatchCommand(
    Input.parse({ ...request, label, environment, input: { conversionId, ...input } }),
    world,
  );
  return taskToken;
}
const asks = {
  stage: () => {
    const bootImage = { id: SHA, manifestKey: "k", signatureBase64: "c2ln", publicKeyPem: "p", files: [] };
    return ask("stage-boot-image", { input: { bootImage } });
  },
  arm: () => ask("arm-boot", { input: { deadlineSeconds: 600 } }),
  go: () => ask("reboot", { label: BOOT, input: { into: BOOT, bootId: "boot-1" } }),
  report: () => ask("report-boot-state", { environment: BOOT }),
  capture: () =>
    ask("capture-disk", { label: "vda", environment: BOOT, input: { pointId: "rp_1", disk: "vda" } }),
  back: () => ask("reboot", { label: ORIGINAL, environment: BOOT, input: { into: ORIGINAL } }),
  attest: () => ask("attest-boot-state", { input: { requestedBy: "ada" } }),
};

const silent = { Error: "OriginalSystemSilentError", Cause: "" };
const abandonWith = (name: string) =>
  abandonConversion.run({ conversionId, error: { Error: name, Cause: "" } }, world);

const event = (fields: object) =>
  agentEvents.run({ at: "2030-01-01T00:00:01.000Z", agentId: "agt_source", ...fields }, world);
const answer = (command: string, output: unknown, environment?: AgentEnvironment) =>
  event({ type: "command-succeeded", commandId: `cnv_1.${command}.1`, output, environment });
const connect = (environment: AgentEnvironment, bootId: string) =>
  event({
    type: "agent-connected",
    agentVersion: "1.0.0",
    environment,
    bootId,
    ...(environment === ORIGINAL ? { inventory: anInventory() } : {}),
  });

const armed = {
  adapter: "grub",
  bootId: "boot-1",
  savedStateKey: "sources/agt_source/boot-states/cnv_1.json",
  savedStateSha256: SHA,
  items: [],
};
const restored = { restored: true, bootId: "boot-2", items: [], addresses: [] };
const attested = (receipt: BootReceipt = aReceipt(device)) => answer("attest-boot-state", { receipt });

/** Armed, and told to restart. */
async function ordered(): Promise<void> {
  await asks.arm();
  await answer("arm-boot", armed);
  await asks.go();
}

/** On its way, with the step waiting for the boot environment's word. */
async function restarting(): Promise<void> {
  await ordered();
  await answer("reboot.boot-environment", {});
  await asks.report();
}

/** As far as the boot environment, which has told that the boot state is back. */
async function away(): Promise<void> {
  await restarting();
  await connect(BOOT, "boot-2");
  await answer("report-boot-state", restored, BOOT);
}

test("the machine is shown where it is, all the way", async () => {
  expect(await machine()).toBe("original, untouched");
  await asks.arm();
  // The agent may have armed it although its answer is lost.
  expect(await machine()).toBe("original, armed");
  await answer("arm-boot", armed);
  await asks.go();
  await answer("reboot.boot-environment", {});
  expect(await machine()).toBe("rebooting, armed");
  await asks.report();
  await connect(BOOT, "boot-2");
  expect(await machine()).toBe("boot-environment, armed");
  await answer("report-boot-state", restored, BOOT);
  expect(await machine()).toBe("boot-environment, restored");
  await asks.back();
  await answer("reboot.original", {}, BOOT);
  expect(await machine()).toBe("rebooting, restored");
  await asks.attest();
  await connect(ORIGINAL, "boot-3");
  expect(await machine()).toBe("original, restored");
  await attested();
  expect(await machine()).toBe("original, confirmed");
  expect((await conversion()).attested).toEqual({
    receipt: aReceiptLike(),
    receivedAt: "2030-01-01T00:00:00.000Z",
  });
  expect(outcome("attest-boot-state")).toMatchObject({ output: { receipt: { content: { equal: true } } } });
  expect(await world.audited()).toContain("agt_source boot-state-confirmed cnv_1 done");
});

const aReceiptLike = () => expect.objectContaining({ content: aReceipt(device).content });

test("each system is sent only what is for it", async () => {
  await asks.arm();
  await asks.capture();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  expect(heard()).toEqual(["command arm-boot.1"]);
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(heard()).toEqual(["command capture-disk.vda.1"]);
});

test("the source's inventory stays that of its own system; where it is heard is shown", async () => {
  const before = (await world.store.agents.get("agt_source")).inventory;
  await event({
    type: "agent-connected",
    agentVersion: "1.0.0",
    environment: BOOT,
    bootId: "boot-2",
    inventory: anInventory({ hostname: "causeway" }),
  });
  expect(await world.store.agents.get("agt_source")).toMatchObject({
    environment: BOOT,
    bootId: "boot-2",
    inventory: before,
  });
});

test("an event about a command for the other system is refused and audited", async () => {
  await away();
  await asks.capture();
  await answer("capture-disk.vda", {}, ORIGINAL);
  await answer("capture-disk.vda", {});
  expect(outcome("capture-disk vda")).toBeUndefined();
  expect((await world.audited()).filter((entry) => entry.includes("event-refused"))).toEqual(
    Array(2).fill("agt_source event-refused cnv_1.capture-disk.vda.1 refused"),
  );
});

test("a restart is over when the machine is heard from there, also if its answer was lost", async () => {
  await ordered();
  await connect(BOOT, "boot-2");
  expect(outcome("reboot boot-environment")).toEqual({ output: {} });
  await asks.report();
  await answer("report-boot-state", restored, BOOT);
  await asks.back();
  await connect(ORIGINAL, "boot-3");
  expect(outcome("reboot original")).toEqual({ output: {} });
});

test("an original system that connects once more while it shuts down is not back", async () => {
  await restarting();
  await connect(ORIGINAL, "boot-1");
  expect(outcome("report-boot-state")).toBeUndefined();
  expect(await machine()).toBe("rebooting, armed");
});

test("a machine that is back without that its boot environment was heard ends the wait at once", async () => {
  await restarting();
  await connect(ORIGINAL, "boot-3");
  expect(outcome("report-boot-state")).toMatchObject({ failure: { name: "BootEnvironmentSilentError" } });
  expect(await machine()).toBe("original, armed");
});

test("an armed machine that was switched off and on is not restarted again by the old order", async () => {
  await ordered();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-3");
  expect(outcome("reboot boot-environment")).toMatchObject({
    failure: { name: "BootEnvironmentSilentError" },
  });
  expect(heard()).toEqual([]);
});

test("a power cut during the capture ends it at once, with the machine back", async () => {
  await away();
  await asks.capture();
  await connect(ORIGINAL, "boot-3");
  expect(outcome("capture-disk vda")).toMatchObject({ failure: { name: "BootEnvironmentLeftError" } });
  // The workflow brings it back: it is there, so only its attestation is waited for.
  await asks.back();
  expect(outcome("reboot original")).toEqual({ output: {} });
  await asks.attest();
  await attested();
  const { name, message, hint, retryable } = (
    outcome("capture-disk vda") as {
      failure: { name: string; message: string; hint: string; retryable: boolean };
    }
  ).failure;
  const cause = JSON.stringify({ name, message, hint, retryable });
  await abandonConversion.run({ conversionId, error: { Error: name, Cause: cause } }, world);
  expect((await conversion()).failure).toMatchObject({
    name: "BootEnvironmentLeftError",
    message: expect.stringContaining("the source is in its original system, boot state confirmed"),
    details: { machineIs: expect.stringContaining("in its original system") },
  });
});

// --- Giving up -----------------------------------------------------------------------------------------------------

test("an order to restart does not outlive that it was given up: an agent that is back in the same boot only attests", async () => {
  await ordered();
  // The source is away, its step loses patience, and the machine is where it is to be brought back to.
  await asks.back();
  await asks.attest();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  expect(heard()).toEqual(["command attest-boot-state.1"]);
});

test("an order to arm does not outlive that it was given up", async () => {
  await asks.arm();
  await asks.back();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  expect(heard()).toEqual([]);
});

test("an answer to an order that was called off is not acknowledged, for that would restart the machine", async () => {
  await ordered();
  await asks.back();
  world.agents.sent.length = 0;
  await answer("reboot.boot-environment", {});
  expect(heard()).toEqual(["cancel reboot.boot-environment.1"]);
  expect(await machine()).toBe("original, armed");
});

test("a capture that goes on does not keep a machine from coming back", async () => {
  await away();
  await asks.capture();
  await asks.back();
  expect(heard().slice(-2)).toEqual(["cancel capture-disk.vda.1", "command reboot.original.1"]);
});

test("what the boot environment has to tell of the boot state is heard, however late", async () => {
  await restarting();
  await asks.back();
  await connect(BOOT, "boot-2");
  await answer("report-boot-state", restored, BOOT);
  expect(await machine()).toBe("boot-environment, restored");
});

// --- A boot environment that nobody waits for ----------------------------------------------------------------------

test("a machine that starts its boot environment when its conversion is over is sent home", async () => {
  await asks.arm();
  await answer("arm-boot", armed);
  await asks.attest();
  const failure = { ...failureOf(new Error("/boot is not mounted")), name: "VolumeNotMountedError" };
  await event({ type: "command-failed", commandId: "cnv_1.attest-boot-state.1", failure });
  await abandonWith("States.Timeout");
  await answer("release.source", {});
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(heard()).toEqual(["command reboot.original.1"]);
  expect(await machine()).toBe("boot-environment, armed");
  await answer("reboot.original", {}, BOOT);
  world.agents.sent.length = 0;
  // Once more, if it is heard there once more.
  await connect(BOOT, "boot-4");
  expect(heard()).toEqual(["command reboot.original.2"]);
  await connect(ORIGINAL, "boot-5");
  expect(await world.store.conversions.pendingCommands("agt_source")).toEqual([]);
});

test("a machine whose workflow was stopped from outside is sent home, and reads no disk before", async () => {
  await away();
  await asks.capture();
  await world.workflow.stop(conversionId);
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(heard()).toEqual(["cancel capture-disk.vda.1", "command reboot.original.1"]);
});

test("a machine that was not armed by the conversion that holds it is sent home", async () => {
  await asks.stage();
  await connect(BOOT, "boot-0");
  expect(heard().at(-1)).toBe("command reboot.original.1");
  await answer("reboot.original", {}, BOOT);
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  // What it is asked in its own system, it does there.
  expect(heard()).toEqual(["command stage-boot-image.1"]);
  expect(await machine()).toBe("original, untouched");
  // That restart is not the one that the conversion asks for at its own time.
  await away();
  await asks.back();
  expect(outcome("reboot original")).toBeUndefined();
  expect(heard().at(-1)).toBe("command reboot.original.2");
});

test("a machine that is read is not sent home when its agent connects once more", async () => {
  await away();
  await asks.capture();
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(heard()).toEqual(["command capture-disk.vda.1"]);
});

test("a machine that was started by hand is left where it is", async () => {
  await world.store.agents.modify("agt_source", (source) => ({ ...source, enrolledFrom: BOOT }));
  await abandonWith("States.Timeout");
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(heard()).toEqual([]);
});

// --- Receipts ------------------------------------------------------------------------------------------------------

test("a receipt that tells of a change is kept, and fails the step by the items' names", async () => {
  await away();
  await asks.attest();
  const [item] = aReceipt(device).content.items;
  if (!item) throw new Error("a receipt without items");
  const after = { present: true as const, sha256: "b".repeat(64), sizeBytes: 1024 };
  await attested(aReceipt(device, { equal: false, items: [{ ...item, after, equal: false }] }));
  expect(outcome("attest-boot-state")).toMatchObject({
    failure: { name: "BootStateDiffersError", message: expect.stringContaining("/boot/grub/grubenv") },
  });
  expect(await machine()).toBe("original, unconfirmed");
  expect((await conversion()).attested?.receipt.content.equal).toBe(false);
  expect(await world.audited()).toContain("agt_source boot-state-differs cnv_1 done");
});

test.each<[string, () => Promise<BootReceipt>]>([
  ["of another conversion", async () => aReceipt(device, { conversionId: "cnv_2" })],
  ["of another agent", async () => aReceipt(device, { agentId: "agt_other" })],
  ["signed with another key", async () => aReceipt(await aDevice())],
  [
    "changed after it was signed",
    async () => {
      const receipt = aReceipt(device);
      return { ...receipt, content: { ...receipt.content, loader: "boot-next" } };
    },
  ],
])("a receipt %s is not believed, and not kept", async (_, make) => {
  await away();
  await asks.attest();
  await attested(await make());
  expect(outcome("attest-boot-state")).toMatchObject({ failure: { name: "BootReceiptInvalidError" } });
  expect((await conversion()).attested).toBeUndefined();
  expect(await machine()).toBe("original, restored");
});

// --- Ends ----------------------------------------------------------------------------------------------------------

test("a machine that nobody hears ends as not known, and its way back stays ordered", async () => {
  await away();
  await asks.back();
  await asks.attest();
  await world.store.agents.modify("agt_source", (source) => ({
    ...source,
    lastSeenAt: "2030-01-01T00:05:00.000Z",
  }));
  await abandonConversion.run({ conversionId, error: silent }, world);
  const { failure, machine: last } = await conversion();
  expect(last).toMatchObject({ is: "unknown", bootState: "unconfirmed", since: "2030-01-01T00:05:00.000Z" });
  expect(failure?.message).toContain("not heard since 2030-01-01T00:05:00.000Z");
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(heard()[0]).toBe("command reboot.original.1");
  await connect(ORIGINAL, "boot-3");
  expect(heard()).toContain("command attest-boot-state.1");
  expect(heard()).toContain("command release.source.1");
  await attested();
  expect(await machine()).toBe("original, confirmed");
  expect(await conversion()).toMatchObject({ state: "failed", failure });
});

test("a machine that was armed and not heard again ends as armed", async () => {
  await restarting();
  await asks.back();
  await asks.attest();
  await abandonConversion.run({ conversionId, error: silent }, world);
  expect(await machine()).toBe("unknown, armed");
  const { failure } = await conversion();
  expect(failure?.message).toContain("the next start may lead into the boot environment once");
  expect(failure?.hint).toContain("at the latest");
  // It attests whenever it is back.
  await connect(ORIGINAL, "boot-3");
  await attested();
  expect(await machine()).toBe("original, confirmed");
});

test.each<[string, () => Promise<unknown>]>([
  ["whose receipt tells of a change", () => attested(aReceipt(device, { equal: false }))],
  ["whose receipt is not to be believed", () => attested(aReceipt(device, { agentId: "agt_other" }))],
  ["that is not heard", async () => {}],
])(
  "whatever failed before, a machine %s ends with the hint that its boot state is not confirmed",
  async (_, happen) => {
    await away();
    await asks.attest();
    await happen();
    await abandonWith("BootEnvironmentSilentError");
    const { failure } = await conversion();
    expect(failure?.name).toBe("BootEnvironmentSilentError");
    expect(failure?.hint).toMatch(/not confirmed.*`causeway receipt cnv_1`.*docs\/operations\.md/);
  },
);

test("a machine whose boot state is confirmed ends with the failure's own hint", async () => {
  await away();
  await asks.attest();
  await attested();
  await abandonWith("BootEnvironmentSilentError");
  expect((await conversion()).failure?.hint).not.toContain("receipt");
});

test("a workflow that was stopped from outside leaves orders that bring the machine back", async () => {
  await away();
  await world.workflow.stop(conversionId);
  await cancelConversion(conversionId, "ada", world);
  expect((await conversion()).state).toBe("cancelled");
  expect(heard()).toContain("command reboot.original.1");
  expect(heard()).toContain("command attest-boot-state.1");
});

test("a machine that was never armed is owed nothing but a release", async () => {
  await asks.stage();
  await abandonConversion.run({ conversionId, error: { Error: "States.Timeout", Cause: "" } }, world);
  expect(await machine()).toBe("original, untouched");
  expect(heard().filter((one) => one.startsWith("command"))).toEqual([
    "command stage-boot-image.1",
    "command release.source.1",
  ]);
});

test("an agent that armed nothing says so, and nothing is left open", async () => {
  await asks.arm();
  await asks.attest();
  const failure = { ...failureOf(new Error("nothing was saved")), name: "BootStateNotSavedError" };
  await event({ type: "command-failed", commandId: "cnv_1.attest-boot-state.1", failure });
  expect(await machine()).toBe("original, untouched");
});

// --- Cancelling ----------------------------------------------------------------------------------------------------

test("cancelling ends what the boot environment does, but never what brings the machine back", async () => {
  await away();
  await asks.capture();
  await cancelConversion(conversionId, "ada", world);
  expect(outcome("capture-disk vda")).toMatchObject({ failure: { name: "ConversionCancelledError" } });
  await asks.back();
  await asks.attest();
  await cancelConversion(conversionId, "ada", world);
  expect(outcome("reboot original")).toBeUndefined();
  await answer("reboot.original", {}, BOOT);
  await connect(ORIGINAL, "boot-3");
  await attested();
  expect(outcome("attest-boot-state")).toHaveProperty("output");
  await abandonConversion.run(
    { conversionId, error: { Error: "ConversionCancelledError", Cause: "" } },
    world,
  );
  expect(await conversion()).toMatchObject({ state: "cancelled", machine: { bootState: "confirmed" } });
});

test("a machine that went into the boot environment after all is sent back as soon as it calls", async () => {
  await ordered();
  // The agent restarts, and its answer comes too late.
  await cancelConversion(conversionId, "ada", world);
  await asks.back();
  expect(outcome("reboot original")).toEqual({ output: {} });
  await asks.attest();
  await connect(BOOT, "boot-2");
  expect(heard().at(-1)).toBe("command reboot.original.1");
});

test("nothing is armed once the operator has cancelled", async () => {
  await cancelConversion(conversionId, "ada", world);
  await expect(asks.arm()).rejects.toThrow(ConversionCancelledError);
  expect(await machine()).toBe("original, untouched");
  // The way back of a machine that is not away is over before it begins.
  await asks.back();
  await asks.attest();
  expect(outcome("attest-boot-state")).toEqual({ output: {} });
  expect(heard()).toEqual([]);
});

test("a conversion that waits for its time is cancelled at once", async () => {
  await world.store.conversions.modify(conversionId, (current) => ({
    ...current,
    startAt: "2030-01-02T00:00:00.000Z",
  }));
  const input = workflowInput(await conversion());
  world.workflow.executions.set(conversionId, { input, running: true });
  await cancelConversion(conversionId, "ada", world);
  expect((await conversion()).state).toBe("cancelled");
  expect(await world.workflow.isRunning(conversionId)).toBe(false);
  expect((await world.store.agents.get("agt_source")).activeConversionId).toBeUndefined();
});
