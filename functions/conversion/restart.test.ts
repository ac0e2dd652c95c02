/**
 * A source that is restarted twice: its events, in every order that a machine with power failures can
 * produce.
 */
import { describe, expect, test } from "vitest";
import { anInventory } from "#shared/domain/testing/records.ts";
import { ArmedStateChangedError, failureOf } from "#shared/errors.ts";
import type { BootReceipt } from "#shared/protocol/boot-receipt.ts";
import { aDevice, aReceipt } from "../testing/device.ts";
import { interruptNextSave } from "../testing/interrupt-save.ts";
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

test("the conversion shows where the machine is at every stage", async () => {
  expect(await whereabouts()).toBe("original, untouched");
  await asks.arm();
  // The agent may have armed the machine although its answer was lost.
  expect(await whereabouts()).toBe("original, armed");
  await answer("arm-boot", armed);
  await asks.go();
  await answer("reboot.boot-environment", {});
  expect(await whereabouts()).toBe("rebooting, armed");
  await asks.report();
  await connect(BOOT, "boot-2");
  expect(await whereabouts()).toBe("boot-environment, armed");
  await answer("report-boot-state", restored, BOOT);
  expect(await whereabouts()).toBe("boot-environment, restored");
  await asks.back();
  await answer("reboot.original", {}, BOOT);
  expect(await whereabouts()).toBe("rebooting, restored");
  await asks.attest();
  await connect(ORIGINAL, "boot-3");
  expect(await whereabouts()).toBe("original, restored");
  await attested();
  expect(await whereabouts()).toBe("original, confirmed");
  expect((await conversion()).attested).toEqual({
    receipt: aReceiptLike(),
    receivedAt: "2030-01-01T00:00:00.000Z",
  });
  expect(outcome("attest-boot-state")).toMatchObject({
    output: { receipt: { content: { outcome: "equal" } } },
  });
  expect(await world.audited()).toContain("agt_source boot-state-confirmed cnv_1 done");
});

const aReceiptLike = () => expect.objectContaining({ content: aReceipt(device).content });

test("each system gets only its own commands", async () => {
  await asks.arm();
  await asks.capture();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-1");
  expect(received()).toEqual(["command arm-boot.1"]);
  world.agents.sent.length = 0;
  await connect(BOOT, "boot-2");
  expect(received()).toEqual(["command capture-disk.vda.1"]);
});

test("a source keeps the inventory of its own system, and shows the system that it last reported from", async () => {
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
  expect((await world.audited()).filter((entry) => entry.includes("event-refused"))).toEqual([
    "agt_source event-refused cnv_1.capture-disk.vda.1 refused",
  ]);
});

test("a restart is done when the machine reports from the new system, even if its answer was lost", async () => {
  await ordered();
  await connect(BOOT, "boot-2");
  expect(outcome("reboot boot-environment")).toEqual({ output: {} });
  await asks.report();
  await answer("report-boot-state", restored, BOOT);
  await asks.back();
  await connect(ORIGINAL, "boot-3");
  expect(outcome("reboot original")).toEqual({ output: {} });
});

test("an original system that connects again while it shuts down does not count as back", async () => {
  await restarting();
  await connect(ORIGINAL, "boot-1");
  expect(outcome("report-boot-state")).toBeUndefined();
  expect(await whereabouts()).toBe("rebooting, armed");
});

test("a machine that comes back although its boot environment never reported ends the wait at once", async () => {
  await restarting();
  await connect(ORIGINAL, "boot-3");
  expect(outcome("report-boot-state")).toMatchObject({ failure: { name: "BootEnvironmentSilentError" } });
  expect(await whereabouts()).toBe("original, armed");
});

test("an old command does not restart an armed machine that was power-cycled", async () => {
  await ordered();
  world.agents.sent.length = 0;
  await connect(ORIGINAL, "boot-3");
  expect(outcome("reboot boot-environment")).toMatchObject({
    failure: { name: "BootEnvironmentSilentError" },
  });
  expect(received()).toEqual([]);
});

describe("a restart that the agent retracts, because the boot loader was changed after its answer,", () => {
  const failure = failureOf(new ArmedStateChangedError(["/boot/grub/grub.cfg"]));
  const retraction = () =>
    event({ type: "command-failed", commandId: "cnv_1.reboot.boot-environment.1", failure });

  test("ends the wait for the boot environment by its reason; the boot state is asked for at once", async () => {
    await restarting();
    await retraction();
    expect(outcome("report-boot-state")).toEqual({ failure });
    expect(await whereabouts()).toBe("original, armed");
    await retraction();
    expect(await whereabouts()).toBe("original, armed");
    await asks.back();
    expect(outcome("reboot original")).toEqual({ output: {} });
    await asks.attest();
    await attested();
    expect(await whereabouts()).toBe("original, confirmed");
  });

  test("does so, too, if it comes before the workflow waits", async () => {
    await ordered();
    await answer("reboot.boot-environment", {});
    await retraction();
    expect(await whereabouts()).toBe("original, armed");
    await asks.report();
    expect(outcome("report-boot-state")).toEqual({ failure });
  });

  test("broken off at any write is completed by the same event again", async () => {
    await restarting();
    interruptNextSave(world.store);
    await expect(retraction()).rejects.toThrow("killed");
    await retraction();
    expect(outcome("report-boot-state")).toEqual({ failure });
    expect(await world.store.commands.find("cnv_1.reboot.boot-environment.1")).toMatchObject({
      state: "failed",
      failure,
    });
  });

  test("changes nothing once the boot environment has reported", async () => {
    await away();
    await asks.capture();
    await retraction();
    expect(outcome("capture-disk vda")).toBeUndefined();
    expect(await whereabouts()).toBe("boot-environment, restored");
  });
});

test("a machine that came back before the workflow waits for its boot environment is not waited for", async () => {
  await ordered();
  await answer("reboot.boot-environment", {});
  await connect(ORIGINAL, "boot-3");
  await asks.report();
  expect(outcome("report-boot-state")).toMatchObject({ failure: { name: "BootEnvironmentLeftError" } });
});

test("after a power cut during the capture, the machine's return ends the capture at once", async () => {
  await away();
  await asks.capture();
  await connect(ORIGINAL, "boot-3");
  expect(outcome("capture-disk vda")).toMatchObject({ failure: { name: "BootEnvironmentLeftError" } });
  // The machine is already back, so the workflow waits only for its attestation.
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
  await abandonWith(name, cause);
  expect((await conversion()).failure).toMatchObject({
    name: "BootEnvironmentLeftError",
    message: expect.stringContaining("the source is in its original system, boot state confirmed"),
    details: { whereabouts: expect.stringContaining("in its original system") },
  });
});

// --- Receipts ------------------------------------------------------------------------------------------------------

test("a receipt that reports a change is stored, and the step fails with the items' names", async () => {
  await away();
  await asks.attest();
  const [item] = aReceipt(device).content.items;
  if (!item) throw new Error("a receipt without items");
  const after = { present: true as const, sha256: "b".repeat(64), sizeBytes: 1024 };
  await attested(
    aReceipt(device, { outcome: "different", items: [{ ...item, after, outcome: "different" }] }),
  );
  expect(outcome("attest-boot-state")).toMatchObject({
    failure: { name: "BootStateDiffersError", message: expect.stringContaining("/boot/grub/grubenv") },
  });
  expect(await whereabouts()).toBe("original, unconfirmed");
  expect((await conversion()).attested?.receipt.content.outcome).toBe("different");
  expect(await world.audited()).toContain("agt_source boot-state-differs cnv_1 done");
});

test.each(["9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z"])(
  "the audit says when the control plane got a receipt, not what its agent says (%s)",
  async (attestedAt) => {
    await away();
    await asks.attest();
    await attested(aReceipt(device, { attestedAt }));
    const { items } = await world.store.audit.page({ limit: 10 });
    expect(items.filter(({ action }) => action === "boot-state-confirmed")).toMatchObject([
      { at: (await conversion()).attested?.receivedAt, details: { attestedAt } },
    ]);
  },
);

test("a receipt with only others' changes is not a failure: the boot state is confirmed", async () => {
  await away();
  await asks.attest();
  const [item] = aReceipt(device).content.items;
  if (!item) throw new Error("a receipt without items");
  const after = { present: true as const, sha256: "b".repeat(64), sizeBytes: 1024 };
  const outcomeOfBoth = { outcome: "changed-by-others" } as const;
  await attested(aReceipt(device, { ...outcomeOfBoth, items: [{ ...item, after, ...outcomeOfBoth }] }));
  expect(outcome("attest-boot-state")).toMatchObject({
    output: { receipt: { content: { outcome: "changed-by-others" } } },
  });
  expect(await whereabouts()).toBe("original, confirmed");
  expect(await world.audited()).toContain("agt_source boot-state-confirmed cnv_1 done");
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
])("a receipt %s is refused and not stored", async (_, make) => {
  await away();
  await asks.attest();
  await attested(await make());
  expect(outcome("attest-boot-state")).toMatchObject({ failure: { name: "BootReceiptInvalidError" } });
  expect((await conversion()).attested).toBeUndefined();
  expect(await whereabouts()).toBe("original, restored");
});

test.each([
  "sources/agt_target/boot-states/cnv_1.json",
  "boot-images/x/manifest.json",
  "../x/y",
  "/etc/passwd",
])("an answer that names %s, which is not an object of its agent, fails the step", async (savedStateKey) => {
  await asks.arm();
  await answer("arm-boot", { ...armed, savedStateKey });
  expect(outcome("arm-boot")).toMatchObject({ failure: { name: "UnknownCommandError" } });
});
