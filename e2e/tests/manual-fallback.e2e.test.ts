/**
 * A machine that was started by hand, through the whole control plane: approved by its code, converted from
 * there, and gone after a power cut.
 */
import { hash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent } from "#agent/agent.ts";
import { handStartedAgent } from "#agent/boot-environment/hand-started-agent.ts";
import { identify } from "#agent/boot-environment/identify.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { collectInventory } from "#agent/inventory/inventory.ts";
import { LocalMachine } from "#agent/machine/machine.ts";
import { readBootId } from "#agent/machine/system.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { firstDifference } from "../site/compare.ts";
import { Installation } from "../site/installation.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { writeTestDisk } from "../testing/disk-content.ts";
import { until } from "../testing/until.ts";

const MIB = 2 ** 20;
let plane: ControlPlane;
let dir: string;
let installation: Installation;
let targetId: string;

beforeAll(async () => {
  plane = await ControlPlane.start();
  dir = await mkdtemp(join(tmpdir(), "causeway-by-hand-"));
  installation = new Installation(dir);
  installation.use({ url: plane.url, token: plane.token });
  await installation.enrol("target", "target", ["--images", join(dir, "images")]);
  targetId = (await installation.target()).id;
});
afterAll(async () => {
  await installation.stop();
  await plane.close();
  await rm(dir, { recursive: true });
});

/** A machine in its boot environment with one disk, as far as one process can emulate it. */
class HandStartedMachine implements AsyncDisposable {
  readonly disk: string;
  readonly macAddress: string;
  readonly screen: string[] = [];
  agent: Agent | undefined;
  captured = 0;

  constructor(name: string) {
    this.disk = join(dir, `${name}.img`);
    const digits = hash("sha256", name).slice(0, 6);
    this.macAddress = `52:54:00:${digits.match(/../g)?.join(":")}`;
  }

  get code(): string | undefined {
    return this.screen
      .findLast((line) => line.includes("causeway approve"))
      ?.trim()
      .split(" ")
      .at(-1);
  }

  showsCode(): Promise<string> {
    return until("a code on the screen", () => this.code);
  }

  identify(): Promise<Identity> {
    return identify({
      url: plane.url,
      machine: { name: "pine", macAddresses: [this.macAddress], disks: [] },
      typed: { nextUrl: () => new Promise(() => {}) },
      say: (line) => this.screen.push(line),
      fetch,
      now: () => new Date(),
      pollMs: 50,
    });
  }

  start(identity: Identity): void {
    // As in memory, nothing remains from an earlier start.
    const dataDir = mkdtempSync(join(dir, "machine-"));
    const now = () => new Date();
    const chosenDisks = [{ name: "sda", path: this.disk }];
    const quiet = { info: () => {}, warn: () => {}, error: () => {} };
    this.agent = handStartedAgent({
      ...{ identity, now, random: Math.random, log: quiet, version: "0.0.0", dataDir },
      machine: new LocalMachine(),
      bootId: () => readBootId(new LocalMachine()),
      takeInventory: async () => ({
        ...(await collectInventory({ machine: new LocalMachine(), now, chosenDisks })),
        network: { interfaces: [this.#port()], routes: [], dns: { servers: [], search: [] } },
      }),
      onCaptured: () => {
        this.captured++;
      },
    });
    void this.agent.run();
  }

  #port(): Inventory["network"]["interfaces"][number] {
    const configuration = { source: "unknown", method: "unknown" } as const;
    const facts = { kind: "ethernet", state: "up", mtuBytes: 1500, addresses: [], configuration } as const;
    return { ...facts, addresses: [], name: "eth0", macAddress: this.macAddress };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent?.stop();
  }
}

const sourceOf = (id: string) => plane.api.getSource({ parameters: { id } });
const ready = (id: string) =>
  until(`${id} to be ready`, async () => ((await sourceOf(id)).coldCloningReady ? true : undefined));

test("a machine whose code is approved is ready for cold cloning, is converted, and is ready again", async () => {
  await using machine = new HandStartedMachine("approved");
  await writeTestDisk(machine.disk, 24 * MIB, "approved");
  const identifying = machine.identify();
  const code = await machine.showsCode();
  const waiting = (await installation.json(["enrolment-requests"])) as { items: object[] };
  expect(waiting.items).toMatchObject([
    { state: "pending", machine: { name: "pine" }, address: "127.0.0.1" },
  ]);
  const approved = (await installation.json(["approve", code])) as { sourceId: string };
  const identity = await identifying;
  const { agentId } = identity.enrolment;
  expect(approved.sourceId).toBe(agentId);
  machine.start(identity);
  await ready(agentId);
  expect((await installation.cli(["sources"])).stdout).toContain("connected, cold cloning ready");

  for (const type of ["hot", "remote-cold"]) {
    const refused = await installation.cli(["convert", agentId, "--type", type, "--target", targetId]);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain("--type manual-cold");
  }
  const words = [
    "convert",
    agentId,
    "--type",
    "manual-cold",
    "--target",
    targetId,
    "--format",
    "raw",
    "--wait",
  ];
  const ended = (await installation.json(words)) as { state: string; result: { disks: { path: string }[] } };
  expect(ended.state).toBe("completed");
  expect(await firstDifference(machine.disk, ended.result.disks[0]?.path ?? "")).toBeUndefined();
  await until("the machine to know that it is not needed", () => machine.captured || undefined);
  await ready(agentId);
  expect((await plane.api.listRecoveryPoints({ parameters: { id: agentId } })).items).toHaveLength(1);
  for (const action of ["enrolment-requested", "enrolment-approved", "agent-enrolled"])
    await plane.audited({ action, outcome: "done" });
});

test("after a power cut the machine needs a new approval and is another source, and the conversion that read it fails", async () => {
  const first = new HandStartedMachine("power-cut");
  await writeTestDisk(first.disk, 8 * MIB, "power-cut");
  const identifying = first.identify();
  await plane.api.approveEnrolment({ body: { code: await first.showsCode() } });
  const before = await identifying;
  first.start(before);
  await ready(before.enrolment.agentId);
  const sourceId = before.enrolment.agentId;
  const slow = { type: "manual-cold", bandwidthLimitBytesPerSecond: 100_000 } as const;
  const { id } = await plane.api.startConversion({ body: { ...slow, sourceId, targetId } });
  await until("the capture to begin", async () => {
    const { steps } = await plane.api.getConversion({ parameters: { id } });
    return steps.some(({ name, work }) => name === "capture" && work[0]?.state === "running") || undefined;
  });
  await first[Symbol.asyncDispose]();
  await until("the first source to be gone", async () =>
    (await sourceOf(sourceId)).presence === "disconnected" ? true : undefined,
  );

  await using second = new HandStartedMachine("power-cut");
  const again = second.identify();
  const code = await second.showsCode();
  expect(code).not.toBe(first.code);
  await plane.api.approveEnrolment({ body: { code } });
  const after = await again;
  expect(after.enrolment.agentId).not.toBe(before.enrolment.agentId);
  second.start(after);
  await ready(after.enrolment.agentId);
  expect((await plane.ended(id)).failure?.name).toBe("BootEnvironmentLeftError");
  expect((await sourceOf(sourceId)).restartedAs).toBe(after.enrolment.agentId);
});

test("a conversion whose machine never returns can be cancelled, and frees the source", async () => {
  const machine = new HandStartedMachine("gone");
  await writeTestDisk(machine.disk, 8 * MIB, "gone");
  const identifying = machine.identify();
  await plane.api.approveEnrolment({ body: { code: await machine.showsCode() } });
  const identity = await identifying;
  const sourceId = identity.enrolment.agentId;
  machine.start(identity);
  await ready(sourceId);
  const { id } = await plane.api.startConversion({ body: { type: "manual-cold", sourceId, targetId } });
  // Preflight waits for a machine that was connected when the conversion was requested.
  await machine[Symbol.asyncDispose]();
  await plane.api.cancelConversion({ parameters: { id } });
  expect((await plane.ended(id)).state).not.toBe("completed");
  expect((await sourceOf(sourceId)).activeConversionId).toBeUndefined();
});

test("an attacker who knows an id or a code, but not the secret, gets no identity", async () => {
  await using machine = new HandStartedMachine("watched");
  const identifying = machine.identify();
  const code = await machine.showsCode();
  const { items } = await plane.api.listEnrolmentRequests({});
  const id = items[0]?.id ?? "";
  const stranger = createApiClient({ url: plane.url });
  await plane.api.approveEnrolment({ body: { code } });
  for (const secret of [code, id, "x".repeat(43)]) {
    await expect(stranger.claimEnrolment({ parameters: { id }, body: { secret } })).rejects.toMatchObject({
      problem: { status: 403, name: "EnrolmentClaimRefusedError" },
    });
  }
  await plane.audited({ action: "enrolment-claim-refused", subject: id, outcome: "refused" });
  // Approving takes an operator's token.
  await expect(stranger.approveEnrolment({ body: { code } })).rejects.toMatchObject({
    problem: { status: 401 },
  });
  await expect(plane.api.approveEnrolment({ body: { code } })).rejects.toMatchObject({
    problem: { status: 409 },
  });
  await identifying;
});

test("a machine that was approved by mistake is revoked, and cannot connect", async () => {
  await using machine = new HandStartedMachine("revoked");
  const identifying = machine.identify();
  const { sourceId = "" } = await plane.api.approveEnrolment({ body: { code: await machine.showsCode() } });
  const identity = await identifying;
  await plane.api.revokeAgent({ parameters: { id: sourceId } });
  machine.start(identity);
  await plane.audited({ action: "connect-refused", actor: sourceId });
  expect((await sourceOf(sourceId)).coldCloningReady).toBe(false);
});
