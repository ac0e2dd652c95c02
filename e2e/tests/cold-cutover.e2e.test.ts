/** Cold cutovers on the embedded cloud, with agents that only answer, from either system of the source. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { agentApi } from "#agent/cloud/agent-api.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { aDisk } from "#shared/domain/testing/records.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";
import type { Command } from "#shared/protocol/commands.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import { agentAnswer, SHA } from "../../statemachines/testing/agent-answers.ts";
import { credentialsOf } from "../testing/agent-clients.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { readyMachine } from "../testing/ready-machine.ts";
import { signedImage } from "../testing/signed-image.ts";
import { until } from "../testing/until.ts";
import { uploadBootImage } from "../testing/upload-boot-image.ts";

const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
const window = { firstDay: day(-1), lastDay: day(1), from: "00:00", to: "00:00", timeZone: "UTC" };
const cards = [{ link: { kind: "bridge" as const, bridge: "br0" } }];
let plane: ControlPlane;
let source: Identity;
let target: Identity;
let host: Device;
/** The source, in the system that it runs; absent while it is off. */
let machine: Device | undefined;
let system: AgentSystem;
let boots = 0;
/** Where a restart into the boot environment leads. */
let leadsTo: AgentSystem;
/** What the target host finds in the outage, besides the ordinary. */
let compared: object;
let timer: NodeJS.Timeout;
const answered = new Set<string>();

const idOf = ({ enrolment }: Identity) => enrolment.agentId;

/** Resolves once the control plane knows that the source is off: a late event would meet its next start. */
async function switchOff(): Promise<void> {
  await machine?.[Symbol.asyncDispose]();
  machine = undefined;
  await until("the source to be gone", async () => {
    const { presence } = await plane.api.getSource({ parameters: { id: idOf(source) } });
    return presence !== "connected" || undefined;
  });
}

async function boot(into: AgentSystem): Promise<void> {
  await switchOff();
  system = into;
  machine = await Device.connect(source);
  const inventory = { ...readyMachine, disks: [aDisk("vda")], fencedServices: ["db.service"] };
  const more = into === "original" ? { inventory } : { inventory: undefined };
  await machine.introduce({}, { environment: into, bootId: `boot-${++boots}`, ...more });
}

function receiptOf(conversionId: string): object {
  const state = { present: true as const, sha256: SHA, sizeBytes: 1024 };
  const at = new Date().toISOString();
  const content = {
    ...{ format: 2 as const, conversionId, agentId: idOf(source), requestedBy: "ada", loader: "grub" },
    ...{ savedAt: at, attestedAt: at, bootId: `boot-${boots}`, outcome: "equal" as const },
    items: [...[{ kind: "file" as const, name: "/boot/grub/grubenv", before: state, after: state }]].map(
      (item) => ({ ...item, outcome: "equal" as const }),
    ),
  };
  return { receipt: signBootReceipt(content, source.keyPem, source.enrolment.certificatePem) };
}

function outputOf({ kind, input }: Command): object {
  const { isUp, lasting, term, conversionId } = input as Record<string, unknown>;
  if (kind === "set-fence") return { term, isUp, lasting, services: isUp ? ["db.service"] : [] };
  if (kind === "attest-boot-state") return receiptOf(String(conversionId));
  const answer = agentAnswer({ kind, input: input as Record<string, unknown> });
  if (kind === "compare-files" && system === "boot-environment") return { ...answer, ...compared };
  const savedStateKey = `sources/${idOf(source)}/boot-states/x.json`;
  return kind === "arm-boot" ? { ...answer, bootId: `boot-${boots}`, savedStateKey } : answer;
}

/** The target host asks for time before it starts a machine that has a lease. */
async function renew({ kind, input }: Command): Promise<void> {
  if (kind !== "bring-up-machine") return;
  const { ownerId, lease } = input as { ownerId: string; lease: { term: number } };
  const api = agentApi(target, { credentials: () => credentialsOf(target), now: Date.now });
  await api.renewLease({ parameters: { id: ownerId }, body: { term: lease.term } });
}

async function answer(device: Device | undefined): Promise<void> {
  const here = device === host ? "original" : system;
  for (const command of device?.commands ?? []) {
    const { commandId, kind, environment = "original" } = command;
    if (environment !== here || answered.has(commandId)) continue;
    answered.add(commandId);
    await renew(command);
    const event = { commandId, at: new Date().toISOString(), environment };
    await device?.tell({ ...event, type: "command-succeeded", output: outputOf(command) });
    const { into } = command.input as { into?: AgentSystem };
    if (kind === "reboot" && into) return boot(into === "original" ? into : leadsTo);
    if (kind === "switch-off") await switchOff();
  }
}

/** One after the other: a restart takes its time. */
function answerOn(): void {
  timer = setTimeout(() => void Promise.all([answer(machine), answer(host)]).finally(answerOn), 100);
}

beforeAll(async () => {
  plane = await ControlPlane.start();
  source = await plane.enrol("source", "pine");
  target = await plane.enrol("target", "oak");
  await uploadBootImage(plane.api, signedImage("kernel"));
  host = await Device.connect(target);
  await host.introduce({ images: { path: "/images", freeBytes: 1e12 } });
});
beforeEach(async () => {
  leadsTo = "boot-environment";
  compared = {};
  await boot("original");
  await plane.heard(idOf(source), idOf(target));
  answerOn();
});
afterEach(() => clearTimeout(timer));
afterAll(async () => {
  await machine?.[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
  await plane.close();
});

async function begin(change: { proveSeconds?: number } = {}): Promise<string> {
  const ids = { sourceId: idOf(source), targetId: idOf(target) };
  const { items } = await plane.api.listPlans({});
  const plan = { sourceId: ids.sourceId, intervalSeconds: 3600, standbyTargetId: ids.targetId };
  if (items.length === 0)
    await plane.api.createPlan({ body: { ...plan, startAt: "2100-01-01T00:00:00.000Z" } });
  const asked = { ...ids, windows: [window], mode: "hold" as const, quiesce: "cold" as const };
  const { id } = await plane.api.createCutover({
    body: { ...asked, machine: { hypervisor: "libvirt", cards }, ...change },
  });
  await is(id, "it to wait", ({ state }) => state === "waiting");
  await plane.api.goCutover({ parameters: { id } });
  return id;
}

const is = (id: string, what: string, fits: (cutover: Cutover) => boolean) =>
  until(what, async () => {
    const cutover = await plane.api.getCutover({ parameters: { id } });
    return fits(cutover) ? cutover : undefined;
  });
const ended = (id: string) => is(id, "the cutover to end", ({ endedAt }) => endedAt !== undefined);

test("a source that comes back without its boot environment leads the cutover back, with a receipt", async () => {
  leadsTo = "original";
  const id = await begin();
  expect(await ended(id)).toMatchObject({
    ...{ state: "rolled-back", sourceServes: "yes", failure: { name: "BootEnvironmentSilentError" } },
  });
  const receipt = await plane.api.getCutoverReceipt({ parameters: { id } });
  expect(receipt.receipt?.content).toMatchObject({ conversionId: id, outcome: "equal" });
  const lease = await plane.api.getLease({ parameters: { id: idOf(source) } });
  expect(lease).toMatchObject({ state: "none" });
});

test("a file that differs from what the boot environment reads leads the cutover back, and is named", async () => {
  compared = {
    ...{ equal: 1, different: 1 },
    differences: [{ fileSystem: "aa", path: "/etc/hosts", what: "content" }],
  };
  const id = await begin({ proveSeconds: 30 });
  expect(await ended(id)).toMatchObject({
    ...{ state: "rolled-back", sourceServes: "yes", failure: { name: "CopyDiffersError" } },
    proof: { outcome: "different", hashed: { system: "boot-environment" } },
  });
  expect(system).toBe("original");
});

test("a source is read in its boot environment, and switched off there once its machine may run", async () => {
  const id = await begin({ proveSeconds: 30 });
  const cutover = await is(id, "the source to be off", ({ sourceOff }) => sourceOff !== undefined);
  expect(cutover).toMatchObject({ state: "completed", quiesce: "cold", sourceOff: "announced" });
  expect(cutover.proof).toMatchObject({ outcome: "equal", hashed: { system: "boot-environment" } });
  const parts = cutover.forecast?.parts.map(({ part }) => part);
  expect(parts).toEqual(expect.arrayContaining(["scan", "proof"]));
  expect(cutover.outageParts?.map(({ part }) => part)).toContain("proof");
  expect(machine).toBeUndefined();
  const lease = await plane.api.getLease({ parameters: { id: idOf(source) } });
  expect(lease).toMatchObject({ state: "permanent", ownerId: id });
});
