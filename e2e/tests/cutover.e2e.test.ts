/** Cutovers on the embedded cloud, which enforces the functions' rights, with agents that only answer. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { agentApi } from "#agent/cloud/agent-api.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { recordedRun } from "#cli/testing/recorded-run.ts";
import { aDisk } from "#shared/domain/testing/records.ts";
import type { Command } from "#shared/protocol/commands.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { agentAnswer } from "../../statemachines/testing/agent-answers.ts";
import { credentialsOf } from "../testing/agent-clients.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { until } from "../testing/until.ts";

let plane: ControlPlane;
const devices: Device[] = [];
let host: Identity;
let ids: { sourceId: string; targetId: string };
/** The kinds of commands that fail. */
let failing: string[];
let timer: NodeJS.Timeout;
const answered = new Set<string>();
const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
const window = { firstDay: day(-1), lastDay: day(1), from: "00:00", to: "00:00", timeZone: "UTC" };

function outputOf({ kind, input }: Command): object {
  const { isUp, lasting, term } = input as Record<string, unknown>;
  if (kind === "set-fence") return { term, isUp, lasting, services: isUp ? ["db.service"] : [] };
  return agentAnswer({ kind, input: input as Record<string, unknown> });
}

/** The target host asks for time before it starts a machine that has a lease. */
async function renew({ kind, input }: Command): Promise<void> {
  if (kind !== "bring-up-machine") return;
  const { ownerId, lease } = input as { ownerId: string; lease: { term: number } };
  const api = agentApi(host, { credentials: () => credentialsOf(host), now: Date.now });
  await api.renewLease({ parameters: { id: ownerId }, body: { term: lease.term } });
}

async function answer(device: Device): Promise<void> {
  for (const command of device.commands.filter(({ commandId }) => !answered.has(commandId))) {
    const { commandId, kind } = command;
    answered.add(commandId);
    const event = { commandId, at: new Date().toISOString() };
    await renew(command);
    const failure = { name: "MachineSilentError", message: "no answer", hint: "Look.", retryable: false };
    await device.tell(
      failing.includes(kind)
        ? { ...event, type: "command-failed", failure }
        : { ...event, type: "command-succeeded", output: outputOf(command) },
    );
  }
}

beforeAll(async () => {
  plane = await ControlPlane.start();
  const source = await plane.enrol("source", "pine");
  const target = await plane.enrol("target", "oak");
  host = target;
  for (const identity of [source, target]) {
    const device = await Device.connect(identity);
    await device.introduce({ disks: [aDisk("vda")], fencedServices: ["db.service"] });
    devices.push(device);
  }
  ids = { sourceId: source.enrolment.agentId, targetId: target.enrolment.agentId };
  const plan = { sourceId: ids.sourceId, intervalSeconds: 3600, standbyTargetId: ids.targetId };
  await until("the source to be known", async () =>
    (await plane.api.listSources({})).items.some(({ inventory }) => inventory) ? true : undefined,
  );
  await plane.api.createPlan({ body: { ...plan, startAt: "2100-01-01T00:00:00.000Z" } });
  timer = setInterval(() => void Promise.all(devices.map(answer)), 100);
});
beforeEach(() => {
  failing = [];
});
afterAll(async () => {
  clearInterval(timer);
  for (const device of devices) await device[Symbol.asyncDispose]();
  await plane.close();
});

const cards = [{ link: { kind: "bridge" as const, bridge: "br0" } }];
const create = (mode: "automatic" | "hold", more: { script?: string } = {}) =>
  plane.api.createCutover({
    body: { ...ids, windows: [window], mode, machine: { hypervisor: "libvirt", cards }, ...more },
  });
const ended = (id: string) =>
  until("the cutover to end", async () => {
    const cutover = await plane.api.getCutover({ parameters: { id } });
    return cutover.endedAt ? cutover : undefined;
  });

const isNow = (id: string, what: string, is: (cutover: Cutover) => boolean) =>
  until(what, async () => (is(await plane.api.getCutover({ parameters: { id } })) ? true : undefined));

test("a machine that was never started does not begin by itself, and one whose check script does not succeed leads back to the source", async () => {
  failing = ["bring-up-machine"];
  const { id } = await create("automatic", { script: "web" });
  await isNow(id, "it to be held back", ({ heldBack }) => heldBack !== undefined);
  await plane.api.goCutover({ parameters: { id } });
  expect(await ended(id)).toMatchObject({
    ...{ state: "rolled-back", sourceServes: "yes", failure: { name: "MachineSilentError" } },
  });
  const checked = devices.flatMap(({ commands }) =>
    commands.filter(({ kind }) => kind === "bring-up-machine"),
  );
  const checks = [{ kind: "console" }, { kind: "script", name: "web" }];
  expect(checked).toMatchObject([{ input: { check: { kind: "all", checks } } }]);
  const parameters = { id: ids.sourceId };
  expect(await plane.api.getLease({ parameters })).toMatchObject({ state: "none", term: 1 });
  const { items } = await plane.api.listAlarms({});
  expect(items).toMatchObject([{ kind: "cutover-held", subject: id, state: "open" }]);
});

/** What this person's command line comes to: its exit code, and the document that it prints. */
async function typed(username: string, ...words: string[]) {
  const environment = { CAUSEWAY_URL: plane.url, CAUSEWAY_TOKEN: await plane.tokenFor(3600, username) };
  const { code, stdout } = await recordedRun(["cutover", ...words, "--json"], environment);
  return { code, document: JSON.parse(stdout) };
}

test("on the command line, one that needs approval begins once another person has approved what was read, and says how it ended", async () => {
  failing = ["bring-up-machine"];
  const days = `${window.firstDay}..${window.lastDay},00:00-00:00`;
  const machine = ["--hypervisor", "libvirt", "--nic", "bridge:br0"];
  const words = ["--target", ids.targetId, "--window", days, ...machine, "--needs-approval"];
  const created = await typed("ada", "create", ids.sourceId, ...words);
  expect(created.code).toBe(0);
  const id: string = created.document.id;
  await isNow(id, "it to wait", ({ state }) => state === "waiting");
  expect((await typed("ada", "go", id)).code).toBe(4);
  const { document: shown } = await typed("ben", "show", id);
  expect(shown).toMatchObject({
    ...{ state: "waiting", deadlineAt: null, outageSeconds: null, runs: [] },
    window: { opensAt: expect.any(String), closesAt: expect.any(String) },
    forecast: { outageSeconds: expect.any(Number), low: expect.any(Number), high: expect.any(Number) },
  });
  const version = ["--version", String(shown.version)];
  expect((await typed("ada", "approve", id, ...version)).code).toBe(4);
  expect((await typed("ben", "approve", id, "--version", String(shown.version + 1))).code).toBe(4);
  expect((await typed("ben", "approve", id, ...version)).code).toBe(0);
  expect((await typed("ben", "go", id)).code).toBe(0);
  expect(await typed("ada", "show", id, "--wait")).toMatchObject({
    ...{ code: 1, document: { state: "rolled-back", sourceServes: "yes", approved: { by: "ben" } } },
  });
  expect((await plane.api.listAudit({})).items.map(({ action, actor }) => `${action} ${actor}`)).toEqual(
    expect.arrayContaining(["cutover-approved ben", "cutover-go ben"]),
  );
});

test("one in hold waits for a person's go, then the machine runs in the source's place", async () => {
  const { id } = await create("hold");
  const parameters = { id };
  await isNow(id, "it to wait", ({ state }) => state === "waiting");
  await plane.api.holdCutover({ parameters });
  await plane.api.goCutover({ parameters });
  const cutover = await ended(id);
  expect(cutover).toMatchObject({ state: "completed", machine: { name: "pine-1" } });
  expect(cutover.outageSeconds).toBeGreaterThan(0);
  expect(cutover.runs.map(({ phase }) => phase)).toEqual(["pre-sync", "final-sync"]);
  const lease = await plane.api.getLease({ parameters: { id: ids.sourceId } });
  expect(lease).toMatchObject({ state: "permanent", ownerId: id, sourceOff: "fenced" });
  expect((await plane.api.listPlans({})).items).toMatchObject([{ state: "paused" }]);
});
