/**
 * A source whose conversion ends, by whatever: it is brought back from wherever it is, and what is not known
 * of it is said.
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
  heard,
  machine,
  ORIGINAL,
  ordered,
  outcome,
  restarting,
  restored,
  world,
} from "../testing/restarted-source.ts";
import { cancelConversion } from "./cancel.ts";

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

// --- Ends ----------------------------------------------------------------------------------------------------------

test("a machine that nobody hears ends as not known, and its way back stays ordered", async () => {
  await away();
  await asks.back();
  await asks.attest();
  await world.store.agents.modify("agt_source", (source) => ({
    ...source,
    lastSeenAt: "2030-01-01T00:05:00.000Z",
  }));
  await abandonWith("OriginalSystemSilentError");
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
  await abandonWith("OriginalSystemSilentError");
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
  ["whose receipt tells of a change", () => attested(aReceipt(device, { outcome: "different" }))],
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
  await abandonWith("States.Timeout");
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
  await abandonWith("ConversionCancelledError");
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
