/**
 * Commands as an agent may get them from somebody who can publish on its topic: what is accepted can become a
 * path.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type CommandKind, commandKinds, ToAgent } from "./commands.ts";
import { MAX_DISK_BYTES } from "./ids.ts";
import { hostileValue, places, withValue } from "./testing/mutations.ts";

const SHA = "a".repeat(64);
const target = { ownerId: "cnv_1", sourceId: "agt_1", pointId: "rp_1" };
const written = { name: "sda", path: "/images/cnv_1/sda.raw", format: "raw", sizeBytes: 512 };
const captured = { name: "sda", sizeBytes: 512, mapRoot: "{}" };
const sized = { name: "sda", sizeBytes: 512 };
const standby = { ownerId: "run_1", planId: "plan_1", sourceId: "agt_1" };

/** An input that each kind accepts. */
const good: Record<CommandKind, Record<string, unknown>> = {
  "take-inventory": {},
  "take-recovery-point": { ownerId: "run_1", pointId: "rp_1", disks: ["sda", "sdb"] },
  "capture-disk": { conversionId: "cnv_1", pointId: "rp_1", disk: "sda" },
  "commit-recovery-point": { conversionId: "cnv_1", pointId: "rp_1", disks: [captured] },
  materialise: { ...target, disks: [captured], format: "raw" },
  verify: { ...target, disks: [written] },
  "apply-to-standby": { ...standby, pointId: "rp_1", disks: [sized] },
  "check-standby": { ...standby, whole: true },
  "forget-standby": { ownerId: "run_1", planId: "plan_1" },
  "clone-standby": { ...target, planId: "plan_1", disks: [sized] },
  "boot-check": { ...target, disks: [written], firmware: "bios", memoryMiB: 512, timeoutSeconds: 60 },
  "stage-boot-image": {
    conversionId: "cnv_1",
    bootImage: {
      ...{ id: SHA, manifestKey: `boot-images/${SHA}/manifest.json`, signatureBase64: "c2ln" },
      publicKeyPem: "PEM",
      files: [{ name: "vmlinuz", key: `boot-images/${SHA}/vmlinuz`, sizeBytes: 1, sha256: SHA }],
    },
  },
  "arm-boot": { conversionId: "cnv_1", deadlineSeconds: 600 },
  reboot: { conversionId: "cnv_1", into: "boot-environment", bootId: "boot-1" },
  "report-boot-state": { conversionId: "cnv_1" },
  "attest-boot-state": { conversionId: "cnv_1", requestedBy: "ada" },
  "check-repository": { ownerId: "chk_1", sourceId: "agt_1", pointIds: ["rp_1", "rp_2"], whole: false },
  "hash-files": {
    ...{ ownerId: "rcv_1", pointId: "rp_1", disks: ["sda", "sdb"], budgetSeconds: 60 },
    frozenFrom: "2030-01-01T00:00:00.000Z",
  },
  "compare-files": { ...target, disks: [written], list: SHA, files: 2 },
  "define-machine": {
    ...{ ...target, disks: [written], hypervisor: "libvirt", name: "web1", title: "web1", dryRun: false },
    bootDisk: "sda",
    systemDisks: ["sda"],
    shape: {
      ...{ cpuCount: 1, memoryMiB: 512, firmware: "bios", diskBus: "sata", cardModel: "e1000", clock: "utc" },
      acceleration: "if-offered",
      cards: [{ address: "52:54:00:00:00:01", link: { kind: "bridge", bridge: "br0", vlan: 5 } }],
    },
  },
  "connect-machine": { ownerId: "cnv_1" },
  "set-fence": { ownerId: "rcv_1", term: 1, isUp: true, reason: "a machine runs in its place" },
  "switch-off": { ownerId: "cut_1", term: 1 },
  "bring-up-machine": {
    ownerId: "cnv_1",
    check: {
      kind: "all",
      checks: [
        { kind: "tcp", host: "192.0.2.7", port: 22 },
        { kind: "http", url: "https://192.0.2.7/health", certificate: "any" },
        { kind: "script", name: "web.sh" },
      ],
    },
    timeoutSeconds: 600,
  },
  "adapt-machine": {
    ...{ ...target, disks: [written], sourceDisks: [{ name: "sda", serial: "S1" }], dryRun: true },
    wanted: {
      ...{ diskBus: "virtio", firmware: "bios", cardModel: "virtio", machineId: "new", hostKeys: "new" },
      ...{ purpose: "drill", cards: [{ address: "52:54:00:00:00:01" }] },
    },
  },
  "power-machine": { ownerId: "cnv_1", power: "on", atOnce: false },
  "remove-machine": { ownerId: "cnv_1", disks: false },
  release: { ownerId: "cnv_1" },
};
const kinds = Object.keys(good) as CommandKind[];

const NAMES = new Set([
  "conversionId",
  "ownerId",
  "planId",
  "sourceId",
  "pointId",
  "disk",
  "name",
  "id",
  "bridge",
  "bootDisk",
]);

/** Every value that becomes one part of a path or key; a boot image's files may be in folders. */
function names(value: unknown): string[] {
  if (Array.isArray(value) && value.every((member) => typeof member === "string")) return value;
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === "files" ? [] : NAMES.has(key) && typeof member === "string" ? [member] : names(member),
  );
}

function sizedDisks(input: object): { sizeBytes: number }[] {
  const { disks } = input as { disks?: boolean | (string | { sizeBytes: number })[] };
  // `remove-machine` has a flag of this name.
  return (Array.isArray(disks) ? disks : []).filter((disk) => typeof disk !== "string");
}

test("each kind accepts the input that it is made for", () => {
  for (const kind of kinds)
    expect(commandKinds[kind].input.safeParse(good[kind]).error, kind).toBeUndefined();
});

test("whatever one value of an input is replaced by, what is accepted has only plain names and sizes of disks", () => {
  const cases = kinds.flatMap((kind) => places(good[kind]).map((place) => ({ kind, place })));
  fc.assert(
    fc.property(fc.constantFrom(...cases), hostileValue, ({ kind, place }, value) => {
      const read = commandKinds[kind].input.safeParse(withValue(good[kind], place, value));
      if (!read.success) return;
      for (const name of names(read.data)) expect(name).toMatch(/^[0-9A-Za-z][0-9A-Za-z._-]*$/);
      for (const { sizeBytes } of sizedDisks(read.data))
        expect(Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes <= MAX_DISK_BYTES).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test.each([
  "materialise",
  "verify",
  "apply-to-standby",
  "clone-standby",
  "boot-check",
  "define-machine",
  "adapt-machine",
  "commit-recovery-point",
] as const)("%s with disks whose names differ only by case, or not at all, is refused", (kind) => {
  const [disk] = good[kind].disks as object[];
  for (const name of ["sda", "SDA"]) {
    const input = { ...good[kind], disks: [disk, { ...disk, name }] };
    expect(commandKinds[kind].input.safeParse(input).success).toBe(false);
  }
});

test("a recovery point of disks whose names differ only by case, or not at all, is refused", () => {
  for (const name of ["sda", "SDA"]) {
    const input = { ...good["take-recovery-point"], disks: ["sda", name] };
    expect(commandKinds["take-recovery-point"].input.safeParse(input).success).toBe(false);
  }
});

test("anything that is published is either read as a message or refused", () => {
  const message = fc.record(
    {
      type: fc.oneof(fc.constantFrom("command", "cancel", "acknowledge", "__proto__"), fc.string()),
      commandId: fc.oneof(fc.constantFrom("cnv_1.release.1", "../x", "x".repeat(3000)), fc.jsonValue()),
      kind: fc.oneof(fc.constantFrom("release", "constructor"), fc.jsonValue()),
      input: fc.jsonValue(),
      requestedBy: fc.jsonValue(),
      issuedAt: fc.oneof(fc.constant("2030-01-01T00:00:00.000Z"), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(message, fc.jsonValue()), (published) => {
      const read = ToAgent.safeParse(published);
      if (read.success) expect(read.data.commandId).toMatch(/^[0-9A-Za-z][0-9A-Za-z._-]{0,199}$/);
    }),
    { numRuns: 1000 },
  );
});
