/** How sources handle wrong boot images: real executors on real files, through the whole control plane. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Agent } from "#agent/agent.ts";
import type { Driver } from "#agent/boot-image/manifest.ts";
import { linuxAdapters } from "#agent/boot-loaders/linux-loaders.ts";
import { createTestImage, type TestImage } from "#agent/boot-loaders/testing/boot-image.ts";
import { createFakeMachine } from "#agent/boot-loaders/testing/fake-machine.ts";
import { installGrub } from "#agent/boot-loaders/testing/grub-installation.ts";
import { openAgentCloud } from "#agent/cloud/agent-cloud.ts";
import { recordKeyOf } from "#agent/commands/agent-records.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { BootImageCache } from "#agent/restart/boot-image-cache.ts";
import { coldExecutors } from "#agent/restart/cold-executors.ts";
import { ImageTrust } from "#agent/restart/image-trust.ts";
import { SavedStates } from "#agent/restart/saved-states.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { damageObject } from "../testing/damage-object.ts";
import { Device } from "../testing/device.ts";
import { readyMachine } from "../testing/ready-machine.ts";
import { until } from "../testing/until.ts";
import { uploadBootImage } from "../testing/upload-boot-image.ts";

let dir: string;
let plane: ControlPlane;
let target: Identity;
let host: Device;
let enrolledBefore: Identity;
let enrolledAfter: Identity;
let first: TestImage;
const running: (() => Promise<void>)[] = [];

const drivers: Driver[] = [
  { name: "virtio_net", kind: "network", builtIn: false },
  { name: "virtio_blk", kind: "disk", builtIn: false },
];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-image-trust-"));
  plane = await ControlPlane.start();
  target = await plane.enrol("target", "oak");
  enrolledBefore = await plane.enrol("source", "pine");
  first = await upload("first");
  enrolledAfter = await plane.enrol("source", "elm");
  host = await Device.connect(target);
  await host.introduce({ hypervisor: { kind: "qemu", version: "8", uefiFirmware: true } });
});
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await plane.close();
  await rm(dir, { recursive: true, force: true });
});

/** A complete image in the bucket, signed with its own key. */
async function upload(name: string): Promise<TestImage> {
  const image = await createTestImage(join(dir, name), { causewayVersion: name, drivers });
  const read = (path: string) => readFile(join(image.dir, path));
  const files: Record<string, Uint8Array> = {};
  for (const path of ["manifest.json", "vmlinuz", "initrd.zst", "causeway.efi"])
    files[path] = await read(path);
  await uploadBootImage(plane.api, {
    id: image.id,
    files,
    body: {
      manifest: (await read("manifest.json")).toString("utf8"),
      signatureBase64: (await read("manifest.json.sig")).toString("base64"),
      publicKeyPem: image.publicKey,
    },
  });
  return image;
}

const log = { info() {}, warn() {}, error() {} };

/**
 * Runs the agent of a machine with GRUB; returns a look at every file that the machine's start depends on.
 */
async function run(identity: Identity): Promise<() => Record<string, string>> {
  const machine = await createFakeMachine({ firmware: "bios" });
  await installGrub(machine);
  const dataDir = await mkdtemp(join(dir, "agent-"));
  const now = () => new Date();
  const cloud = openAgentCloud(identity, { now, random: Math.random, log });
  const { store } = cloud;
  const trust = new ImageTrust(dataDir, identity.enrolment.bootImageKeyPem);
  const agent = new Agent({
    identity,
    cloud,
    version: "1.0.0",
    dataDir,
    executors: coldExecutors({
      machine,
      slowMachine: machine,
      adapters: linuxAdapters(machine),
      images: new BootImageCache({
        ...{ folder: join(machine.root, "run/boot-images"), store, machine },
        trust: (key) => trust.require(key),
      }),
      states: new SavedStates({
        ...{ dataDir, store, sourceId: identity.enrolment.agentId },
        recordKey: recordKeyOf(identity),
      }),
      identity,
      variables: {},
      agentVersion: "1.0.0",
      takeInventory: async () => readyMachine,
      prepareReturn: async () => ({ services: [], notice: "" }),
      now,
    }),
    takeInventory: async () => readyMachine,
    environment: "original",
    bootId: async () => "boot-1",
    log,
    now,
    random: Math.random,
  });
  const end = agent.run();
  running.push(async () => {
    await agent.stop();
    // The next test must not find this one's connection still noted.
    await until("the agent to be away", async () => {
      const { items } = await plane.api.listSources({});
      const source = items.find(({ id }) => id === identity.enrolment.agentId);
      return source?.presence !== "connected" || undefined;
    });
    await end;
    await rm(machine.root, { recursive: true, force: true });
  });
  await plane.heard(identity.enrolment.agentId, target.enrolment.agentId);
  return () => hashes(machine.at("/boot"));
}

function hashes(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    paths.map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]),
  );
}

async function convert(source: Identity, bootImageId: string): Promise<Conversion> {
  const { id } = await plane.api.startConversion({
    body: {
      type: "remote-cold",
      sourceId: source.enrolment.agentId,
      targetId: target.enrolment.agentId,
      bootImageId,
      // The agent's machine consists only of files: it has no network to rehearse, and no boot loader starts
      // it.
      accept: ["network-rehearsed", "starts-unattended", "opens-unattended", "starts-this-system"],
      // Not armed before the test has looked.
      startAt: new Date(Date.now() + 3_600_000).toISOString(),
    },
  });
  return plane.api.getConversion({ parameters: { id } });
}

test("a source that is enrolled when a boot image exists learns its key, and one enrolled before does not", () => {
  expect(enrolledAfter.enrolment.bootImageKeyPem).toBe(first.publicKey);
  expect(enrolledBefore.enrolment.bootImageKeyPem).toBeUndefined();
  expect(target.enrolment.bootImageKeyPem).toBeUndefined();
});

async function stepOf(id: string, name: string): Promise<string | undefined> {
  const { steps } = await plane.api.getConversion({ parameters: { id } });
  return steps.find((step) => step.name === name)?.state;
}

test("an image signed with the key that was known at enrolment is staged, and waits for the start time", async () => {
  const bootState = await run(enrolledAfter);
  const before = bootState();
  const { id } = await convert(enrolledAfter, first.id);
  await until("the image to be staged", async () => {
    const { failure } = await plane.api.getConversion({ parameters: { id } });
    if (failure) throw new Error(`${failure.name}: ${failure.message}`);
    return (await stepOf(id, "stage")) === "done" || undefined;
  });
  expect(bootState()).toEqual(before);
  await plane.api.cancelConversion({ parameters: { id } });
  expect(await plane.ended(id)).toMatchObject({
    state: "cancelled",
    whereabouts: { bootState: "untouched" },
  });
});

async function damage(path: string, change: (content: Buffer) => Buffer): Promise<void> {
  const content = change(await readFile(join(first.dir, path)));
  await damageObject(plane.dir, `boot-images/${first.id}/${path}`, content);
}

test.each<[string, string, () => Promise<string>]>([
  ["signed with another key", "BootImageUntrustedError", async () => (await upload("of-another-key")).id],
  [
    "with other bytes than its manifest says",
    "BootImageInvalidError",
    async () => {
      await damage("vmlinuz", (kernel) => kernel.fill("evil "));
      return first.id;
    },
  ],
  [
    "whose manifest is not what was signed",
    "BootImageInvalidError",
    async () => {
      await damage("manifest.json", (manifest) =>
        Buffer.from(manifest.toString().replace("panic=10", "panic=99")),
      );
      return first.id;
    },
  ],
])("an image %s is refused by the source; nothing is armed", async (_, name, tampered) => {
  const bootState = await run(enrolledAfter);
  const before = bootState();
  const { id } = await convert(enrolledAfter, await tampered());
  expect(await plane.ended(id)).toMatchObject({
    state: "failed",
    failure: { name, hint: expect.stringMatching(/\w/) },
    whereabouts: { location: "original", bootState: "untouched" },
  });
  expect([await stepOf(id, "stage"), await stepOf(id, "arm")]).toEqual(["failed", "skipped"]);
  expect(bootState()).toEqual(before);
});
