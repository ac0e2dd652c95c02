import { expect, test } from "vitest";
import { type PreflightFacts, preflightFindings } from "./preflight.ts";
import { aConversion, aDisk, anInventory, aSource, aTarget } from "./testing/records.ts";

const facts = (change: Partial<PreflightFacts> = {}): PreflightFacts => ({
  conversion: aConversion(),
  source: aSource({ heldBy: "cnv_1" }),
  target: aTarget(),
  ...change,
});
const findings = (change: Partial<PreflightFacts>) =>
  preflightFindings(facts(change)).map(({ id, severity }) => `${severity} ${id}`);

const held = { heldBy: "cnv_1" };
const hypervisor = { kind: "qemu", version: "8.2.0", uefiFirmware: false };
const away = { state: "disconnected" as const, sessionId: "s1", at: 0 };

test("a connected source and a target with room pass without a finding", () => {
  expect(preflightFindings(facts())).toEqual([]);
});

test.each<[string, Partial<PreflightFacts>, string[]]>([
  ["a source that is away", { source: aSource({ ...held, presence: away }) }, ["fail source-connected"]],
  ["a target that is away", { target: aTarget({ presence: away }) }, ["fail target-connected"]],
  [
    "a revoked target",
    { target: aTarget({ revokedAt: "2030-01-01T00:00:00.000Z" }) },
    ["fail target-connected"],
  ],
  ["a source held by another", { source: aSource({ heldBy: "cnv_2" }) }, ["fail source-held"]],
  ["no disk at all", { conversion: aConversion({ disks: [] }) }, ["fail some-disk"]],
  ["an unknown disk", { conversion: aConversion({ disks: ["vda", "vdz"] }) }, ["fail disks-exist"]],
  [
    "a disk that the agent cannot read",
    {
      source: aSource({
        ...held,
        inventory: anInventory({ disks: [aDisk("vda", { unreadable: "no right" })] }),
      }),
    },
    ["fail disks-readable"],
  ],
  [
    "a disk whose layout the agent does not understand",
    {
      source: aSource({
        ...held,
        inventory: anInventory({ disks: [aDisk("vda", { problems: ["the GPT and its backup differ"] })] }),
      }),
    },
    ["warn disks-understood"],
  ],
  [
    "a disk that is not converted and whose layout the agent does not understand",
    {
      source: aSource({
        ...held,
        inventory: anInventory({ disks: [aDisk("vda"), aDisk("vdb", { problems: ["odd"] })] }),
      }),
    },
    [],
  ],
  [
    "a mounted disk",
    { source: aSource({ ...held, inventory: anInventory({ disks: [aDisk("vda", { inUse: true })] }) }) },
    ["fail disk-in-use"],
  ],
  [
    "a mounted disk that the operator accepts",
    {
      conversion: aConversion({ accept: ["disk-in-use"] }),
      source: aSource({ ...held, inventory: anInventory({ disks: [aDisk("vda", { inUse: true })] }) }),
    },
    ["warn disk-in-use"],
  ],
  [
    "a disk of which it is not known whether something writes to it",
    { source: aSource({ ...held, inventory: anInventory({ disks: [aDisk("vda", { inUse: undefined })] }) }) },
    ["fail disk-in-use"],
  ],
  [
    "a disk without bytes",
    { source: aSource({ ...held, inventory: anInventory({ disks: [aDisk("vda", { sizeBytes: 0 })] }) }) },
    ["fail disks-not-empty"],
  ],
  [
    "too little room",
    {
      target: aTarget({
        inventory: anInventory({ ...aTarget().inventory, images: { path: "/images", freeBytes: 1024 } }),
      }),
    },
    ["warn target-room"],
  ],
  [
    "no room",
    {
      target: aTarget({
        inventory: anInventory({ ...aTarget().inventory, images: { path: "/images", freeBytes: 0 } }),
      }),
    },
    ["fail target-not-full", "warn target-room"],
  ],
  [
    "a boot check without a hypervisor",
    { target: aTarget({ inventory: anInventory() }) },
    ["fail target-boots"],
  ],
  [
    "a UEFI boot check without UEFI firmware",
    {
      conversion: aConversion({ firmware: "uefi" }),
      target: aTarget({ inventory: anInventory({ hypervisor }) }),
    },
    ["fail target-boots"],
  ],
])("%s is found", (_, change, expected) => {
  expect(findings(change)).toEqual(expected);
});

test("agents that left after the operator asked are waited for, as when the control plane restarts", () => {
  const left = { ...away, at: Date.parse(aConversion().createdAt) + 1 };
  expect(
    findings({ source: aSource({ ...held, presence: left }), target: aTarget({ presence: left }) }),
  ).toEqual([]);
});

test("a conversion without a boot check needs no hypervisor", () => {
  const conversion = aConversion({ bootCheck: { enabled: false, timeoutSeconds: 600, memoryMiB: 1024 } });
  const target = aTarget({ inventory: anInventory() });
  expect(findings({ conversion, target })).toEqual([]);
});

test("every finding says what to do", () => {
  const nothing = facts({ source: aSource({ presence: away }), target: aTarget({ presence: away }) });
  for (const finding of preflightFindings(nothing)) expect(finding.remedy).toMatch(/\w+.*\.$/);
});
