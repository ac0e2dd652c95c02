/**
 * Remote cold conversions through the whole control plane, with devices that answer as a machine's agent
 * would from either system.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Identity } from "#agent/identity/identity.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { readyMachine } from "../testing/ready-machine.ts";
import { type SignedImage, signedImage } from "../testing/signed-image.ts";
import { until } from "../testing/until.ts";
import { uploadBootImage } from "../testing/upload-boot-image.ts";

let plane: ControlPlane;
let source: Identity;
let target: Identity;
let image: SignedImage;
let host: Device;
let machine: Device;

/** As the inventory says, which preflight judges. */
const DISK_BYTES = readyMachine.disks[0]?.sizeBytes ?? 0;

const idOf = ({ enrolment }: Identity) => enrolment.agentId;

beforeAll(async () => {
  plane = await ControlPlane.start();
  source = await plane.enrol("source", "pine");
  target = await plane.enrol("target", "oak");
  image = signedImage("kernel");
  await uploadBootImage(plane.api, image);
  host = await Device.connect(target);
  await host.introduce({ hypervisor: { kind: "qemu", version: "8", uefiFirmware: true } });
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await plane.close();
});
beforeEach(async () => {
  machine = await boot("original", "boot-1");
  await plane.heard(idOf(source), idOf(target));
});
afterEach(() => machine[Symbol.asyncDispose]());

/** The source's machine now runs only this system. */
async function boot(environment: AgentSystem, bootId: string): Promise<Device> {
  const device = await Device.connect(source);
  await device.introduce(
    {},
    { environment, bootId, ...(environment === "original" ? { inventory: readyMachine } : {}) },
  );
  return device;
}

async function restart(environment: AgentSystem, bootId: string): Promise<void> {
  await machine[Symbol.asyncDispose]();
  machine = await boot(environment, bootId);
}

async function answer(device: Device, kind: string, output: object, environment?: AgentSystem) {
  const { commandId, input } = await device.command(kind);
  const at = new Date().toISOString();
  await device.tell({ type: "command-succeeded", commandId, at, output, environment });
  return input as Record<string, unknown>;
}

const start = (change: object = {}): Promise<Conversion> =>
  plane.api.startConversion({
    body: { type: "remote-cold", sourceId: idOf(source), targetId: idOf(target), ...change },
  });
const shown = (id: string) => plane.api.getConversion({ parameters: { id } });

async function arm(): Promise<void> {
  const { bootImage } = await answer(machine, "stage-boot-image", { adapter: "grub", bytesStaged: 1 });
  expect(bootImage).toMatchObject({ id: image.id, signatureBase64: image.body.signatureBase64 });
  await answer(machine, "arm-boot", {
    adapter: "grub",
    bootId: "boot-1",
    savedStateKey: `sources/${idOf(source)}/boot-states/x.json`,
    savedStateSha256: "a".repeat(64),
    items: [],
  });
  await answer(machine, "reboot", {});
}

async function attest(conversionId: string): Promise<void> {
  const state = { present: true as const, sha256: "a".repeat(64), sizeBytes: 1024 };
  const content = {
    format: 2 as const,
    conversionId,
    agentId: idOf(source),
    requestedBy: "ada",
    loader: "grub" as const,
    savedAt: new Date().toISOString(),
    attestedAt: new Date().toISOString(),
    bootId: "boot-3",
    items: [
      {
        kind: "file" as const,
        name: "/boot/grub/grubenv",
        before: state,
        after: state,
        outcome: "equal" as const,
      },
    ],
    outcome: "equal" as const,
  };
  const receipt = signBootReceipt(content, source.keyPem, source.enrolment.certificatePem);
  await answer(machine, "attest-boot-state", { receipt });
}

test("a machine restarts into the boot environment and back, and its clone is made", async () => {
  const preflight = await plane.api.checkPreflight({
    parameters: { id: idOf(source) },
    body: { type: "remote-cold", targetId: idOf(target) },
  });
  expect(preflight.rules.filter(({ outcome }) => outcome !== "pass")).toEqual([]);
  const { id } = await start();
  await arm();
  await restart("boot-environment", "boot-2");
  const restored = { restored: true, bootId: "boot-2", items: [], addresses: ["192.0.2.10/24"] };
  await answer(machine, "report-boot-state", restored, "boot-environment");
  const disk = { name: "vda", sizeBytes: DISK_BYTES, mapRoot: "root" };
  const capture = {
    disk,
    bytesRead: 64,
    bytesStored: 32,
    badRanges: 0,
    consistency: "crash",
    wholeCopies: [],
    seconds: 1,
    bottleneck: "read",
  };
  await answer(machine, "capture-disk", capture, "boot-environment");
  expect(await shown(id)).toMatchObject({
    whereabouts: { location: "boot-environment", bootState: "restored" },
  });
  const { pointId } = (await machine.command("commit-recovery-point")).input as { pointId: string };
  const committed = { pointId };
  await answer(machine, "commit-recovery-point", committed, "boot-environment");
  await answer(machine, "reboot", {}, "boot-environment");
  await restart("original", "boot-3");
  await attest(id);
  const written = [{ name: "vda", path: "/images/vda", format: "qcow2", sizeBytes: DISK_BYTES }];
  const transfer = { bytesWritten: 64, seconds: 1 };
  await answer(host, "materialise", { disks: written, ...transfer });
  await answer(host, "verify", { bytesVerified: 64, seconds: 1 });
  const ended = await plane.ended(id);
  expect(ended).toMatchObject({
    state: "completed",
    recoveryPointId: pointId,
    whereabouts: { location: "original", bootState: "confirmed" },
  });
  expect(ended.steps.filter(({ state }) => state !== "done").map(({ name }) => name)).toEqual(["boot-check"]);
  const { receipt } = await plane.api.getConversionReceipt({ parameters: { id } });
  expect(receipt.content).toMatchObject({ conversionId: id, outcome: "equal" });
});

test("a machine that comes back by itself fails the conversion at once, and says where it is", async () => {
  const { id } = await start();
  await arm();
  await restart("original", "boot-3");
  await attest(id);
  const { failure, whereabouts: last } = await plane.ended(id);
  expect(failure).toMatchObject({
    name: "BootEnvironmentSilentError",
    message: expect.stringContaining("in its original system, boot state confirmed"),
  });
  expect(last).toMatchObject({ location: "original", bootState: "confirmed" });
});

test("a machine that starts its boot environment after its conversion has ended is restarted into its own system", async () => {
  const { id } = await start();
  await arm();
  await restart("original", "boot-3");
  await attest(id);
  await plane.ended(id);
  await restart("boot-environment", "boot-4");
  const { input, environment } = await machine.command("reboot");
  expect({ input, environment }).toMatchObject({
    input: { conversionId: id, into: "original" },
    environment: "boot-environment",
  });
});

test("a conversion that waits for its start time is cancelled at once, and nothing was armed", async () => {
  const { id } = await start({ startAt: new Date(Date.now() + 3_600_000).toISOString() });
  await answer(machine, "stage-boot-image", { adapter: "grub", bytesStaged: 1 });
  await plane.api.cancelConversion({ parameters: { id } });
  expect(await plane.ended(id)).toMatchObject({
    state: "cancelled",
    whereabouts: { bootState: "untouched" },
  });
  expect(machine.commands.map(({ kind }) => kind)).not.toContain("arm-boot");
  const ids = () => machine.commands.map(({ commandId }) => commandId);
  await until("the release", () => ids().includes(`${id}.release.source.1`) || undefined);
});
