/**
 * A source whose conversion ends for any reason: it is brought back from wherever it is, and the failure says
 * what is not known about it.
 */
import { expect, test } from "vitest";
import { workflowInput } from "#shared/domain/conversion.ts";
import { ConversionCancelledError, failureOf } from "#shared/errors.ts";
import { aReceipt } from "../testing/device.ts";
import {
  abandonWith,
  answer,
  armed,
  asks,
  attested,
  away,
  BOOT,
  connect,
  conversion,
  conversionId,
  device,
  event,
  ORIGINAL,
  ordered,
  outcome,
  received,
  restarting,
  restored,
  whereabouts,
  world,
} from "../testing/restarted-source.ts";
import { cancelConversion } from "./cancel.ts";

// --- Abandoning --------------------------------------------------------------------------------------------

test("a cancelled restart never happens: an agent that connects again in the same boot only attests", async () => {
  await ordered();
  // The source is disconnected, its step times out, and the machine is still in its original system.
  await asks.back();
  await asks.attest();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  expect(received()).toEqual(["command attest-boot-state.1"]);
});

test("a command to arm is cancelled when its conversion is abandoned", async () => {
  await asks.arm();
  await asks.back();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  expect(received()).toEqual([]);
});

test("the result of a cancelled reboot is not acknowledged, because that would restart the machine", async () => {
  await ordered();
  await asks.back();
  world.agents.sent.length = 0;
  await answer("reboot.boot-environment", {});
  expect(received()).toEqual(["cancel reboot.boot-environment.1"]);
  expect(await whereabouts()).toBe("original, armed");
});

test("a running capture does not keep a machine from coming back", async () => {
  await away();
  await asks.capture();
  await asks.back();
  expect(received().slice(-2)).toEqual(["cancel capture-disk.vda.1", "command reboot.original.1"]);
});

test("the boot environment's report of the boot state counts, however late it arrives", async () => {
  await restarting();
  await asks.back();
  await connect(BOOT, "boot-2");
  await answer("report-boot-state", restored, BOOT);
  expect(await whereabouts()).toBe("boot-environment, restored");
});

// --- A boot environment that no conversion needs -----------------------------------------------------------

test("a machine that starts its boot environment after its conversion has ended is restarted into its own system", async () => {
  await asks.arm();
  await answer("arm-boot", armed);
  await asks.attest();
  const failure = { ...failureOf(new Error("/boot is not mounted")), name: "VolumeNotMountedError" };
  await event({ type: "command-failed", commandId: "cnv_1.attest-boot-state.1", failure });
  await abandonWith("States.Timeout");
  await answer("release.source", {});
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(received()).toEqual(["command reboot.original.1"]);
  expect(await whereabouts()).toBe("boot-environment, armed");
  await answer("reboot.original", {}, BOOT);
  world.agents.sent.length = 0;
  // The same again if it reports from there again.
  await connect(BOOT, "boot-4");
  expect(received()).toEqual(["command reboot.original.2"]);
  await connect(ORIGINAL, "boot-5");
  expect(await world.store.commands.pending("agt_source")).toEqual([]);
});

test("a machine whose workflow was stopped from outside is restarted into its own system, and reads no disk before", async () => {
  await away();
  await asks.capture();
  await world.workflow.stop(conversionId);
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(received()).toEqual(["cancel capture-disk.vda.1", "command reboot.original.1"]);
});

test("a machine that another conversion armed is restarted into its own system", async () => {
  await asks.stage();
  await connect(BOOT, "boot-0");
  expect(received().at(-1)).toBe("command reboot.original.1");
  await answer("reboot.original", {}, BOOT);
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  // It carries out the commands for its own system there.
  expect(received()).toEqual(["command stage-boot-image.1"]);
  expect(await whereabouts()).toBe("original, untouched");
  // The conversion's own restart is another command.
  await away();
  await asks.back();
  expect(outcome("reboot original")).toBeUndefined();
  expect(received().at(-1)).toBe("command reboot.original.2");
});

test("a machine that is being read is not restarted when its agent connects again", async () => {
  await away();
  await asks.capture();
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(received()).toEqual(["command capture-disk.vda.1"]);
});

test("a machine that was started by hand is not restarted", async () => {
  await world.store.agents.modify("agt_source", (source) => ({ ...source, enrolledFrom: BOOT }));
  await abandonWith("States.Timeout");
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(received()).toEqual([]);
});

// --- Ends --------------------------------------------------------------------------------------------------

test("a machine that does not report ends with an unknown location, and the commands that bring it back stay open", async () => {
  await away();
  await asks.back();
  await asks.attest();
  await world.store.agents.modify("agt_source", (source) => ({
    ...source,
    lastSeenAt: "2030-01-01T00:05:00.000Z",
  }));
  await abandonWith("OriginalSystemSilentError");
  const { failure, whereabouts: last } = await conversion();
  expect(last).toMatchObject({
    location: "unknown",
    bootState: "unconfirmed",
    since: "2030-01-01T00:05:00.000Z",
  });
  expect(failure?.message).toContain("not reported since 2030-01-01T00:05:00.000Z");
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(received()[0]).toBe("command reboot.original.1");
  await connect(ORIGINAL, "boot-3");
  expect(received()).toContain("command attest-boot-state.1");
  expect(received()).toContain("command release.source.1");
  await attested();
  expect(await whereabouts()).toBe("original, confirmed");
  expect(await conversion()).toMatchObject({ state: "failed", failure });
});

test("a machine that was armed and has not reported since ends as armed", async () => {
  await restarting();
  await asks.back();
  await asks.attest();
  await abandonWith("OriginalSystemSilentError");
  expect(await whereabouts()).toBe("unknown, armed");
  const { failure } = await conversion();
  expect(failure?.message).toContain("the next start may lead into the boot environment once");
  expect(failure?.hint).toContain("at the latest");
  // It attests as soon as it is back.
  await connect(ORIGINAL, "boot-3");
  await attested();
  expect(await whereabouts()).toBe("original, confirmed");
});

test.each<[string, () => Promise<unknown>]>([
  ["whose receipt reports a change", () => attested(aReceipt(device, { outcome: "different" }))],
  ["whose receipt is not valid", () => attested(aReceipt(device, { agentId: "agt_other" }))],
  ["that does not report", async () => {}],
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

test("if the boot state is confirmed, the failure keeps its own hint", async () => {
  await away();
  await asks.attest();
  await attested();
  await abandonWith("BootEnvironmentSilentError");
  expect((await conversion()).failure?.hint).not.toContain("receipt");
});

test("after a workflow was stopped from outside, commands bring the machine back", async () => {
  await away();
  await world.workflow.stop(conversionId);
  await cancelConversion(conversionId, "ada", world);
  expect((await conversion()).state).toBe("cancelled");
  expect(received()).toContain("command reboot.original.1");
  expect(received()).toContain("command attest-boot-state.1");
});

test("a machine that was never armed gets only a release", async () => {
  await asks.stage();
  await abandonWith("States.Timeout");
  expect(await whereabouts()).toBe("original, untouched");
  expect(received().filter((one) => one.startsWith("command"))).toEqual([
    "command stage-boot-image.1",
    "command release.source.1",
  ]);
});

test("an agent that armed nothing reports so, and no command stays open", async () => {
  await asks.arm();
  await asks.attest();
  const failure = { ...failureOf(new Error("nothing was saved")), name: "BootStateNotSavedError" };
  await event({ type: "command-failed", commandId: "cnv_1.attest-boot-state.1", failure });
  expect(await whereabouts()).toBe("original, untouched");
});

// --- Cancelling --------------------------------------------------------------------------------------------

test("cancelling ends the boot environment's work, but never the commands that bring the machine back", async () => {
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
  await abandonWith("ConversionCancelledError");
  expect(await conversion()).toMatchObject({ state: "cancelled", whereabouts: { bootState: "confirmed" } });
});

test("a machine that started its boot environment in spite of the cancellation is restarted as soon as it connects", async () => {
  await ordered();
  // The agent restarts the machine, and its answer arrives too late.
  await cancelConversion(conversionId, "ada", world);
  await asks.back();
  expect(outcome("reboot original")).toEqual({ output: {} });
  await asks.attest();
  await connect(BOOT, "boot-2");
  expect(received().at(-1)).toBe("command reboot.original.1");
});

test("nothing is armed once the operator has cancelled", async () => {
  await cancelConversion(conversionId, "ada", world);
  await expect(asks.arm()).rejects.toThrow(ConversionCancelledError);
  expect(await whereabouts()).toBe("original, untouched");
  // The machine is still in its original system, so the step to bring it back succeeds at once.
  await asks.back();
  await asks.attest();
  expect(outcome("attest-boot-state")).toEqual({ output: {} });
  expect(received()).toEqual([]);
});

test("a conversion that waits for its start time is cancelled at once", async () => {
  await world.store.conversions.modify(conversionId, (current) => ({
    ...current,
    startAt: "2030-01-02T00:00:00.000Z",
  }));
  const input = workflowInput(await conversion());
  world.workflow.executions.set(conversionId, { input, running: true });
  await cancelConversion(conversionId, "ada", world);
  expect((await conversion()).state).toBe("cancelled");
  expect(await world.workflow.isRunning(conversionId)).toBe(false);
  expect((await world.store.agents.get("agt_source")).heldBy).toBeUndefined();
});
