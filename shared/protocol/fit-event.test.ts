import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aDisk, anInventory } from "../domain/testing/records.ts";
import { AgentEvent, type AgentMessage } from "./events.ts";
import { fitEvent } from "./fit-event.ts";
import { Inventory, type NetworkInterface } from "./inventory.ts";
import { encodeMessage, jsonBytes, MAX_MESSAGE_BYTES } from "./message-size.ts";

const AT = "2030-01-01T00:00:00.000Z";
const connected = (inventory: Inventory): AgentEvent => ({
  type: "agent-connected",
  at: AT,
  agentVersion: "1.0.0",
  bootId: "boot-1",
  environment: "original",
  inventory,
});

/** What goes over the wire, read as the control plane reads it. */
function sent(event: AgentEvent): { bytes: number; event: AgentEvent } {
  const message: AgentMessage = { event: fitEvent(event) };
  const json = encodeMessage(message, event.type);
  return { bytes: Buffer.byteLength(json), event: AgentEvent.parse(JSON.parse(json).event) };
}

function inventoryIn(event: AgentEvent): Inventory {
  if (event.type !== "agent-connected" || !event.inventory) throw new Error("no inventory");
  return event.inventory;
}

const times = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));

const anInterface = (name: string): NetworkInterface => ({
  name,
  macAddress: "52:54:00:12:34:56",
  kind: "ethernet",
  state: "up",
  mtuBytes: 1500,
  addresses: [{ family: "ipv4", address: "10.0.0.1", prefixLength: 24, dynamic: false }],
  configuration: { source: "ifupdown", method: "static" },
});

const aPartition = (number: number, text: string, mounts: number) => ({
  number,
  path: `/dev/${text}`,
  offsetBytes: number,
  sizeBytes: 1,
  type: text,
  bootable: false,
  content: { type: text },
  mountPoints: times(mounts, (at) => `/${text}/${at}`),
});

test("an inventory that fits is sent as it is", () => {
  const inventory = anInventory();
  expect(sent(connected(inventory)).event).toEqual(connected(inventory));
});

test("300 disks with 4000 mounts, 500 interfaces and many boot entries fit in one message, and what was cut", () => {
  const large = anInventory({
    disks: times(300, (at) => ({
      ...aDisk(`sd${at}`),
      partitions: times(4, (number) => aPartition(number + 1, `sd${at}p${number}`, 3)),
      mountPoints: [`/srv/${at}`],
    })),
    network: {
      interfaces: times(500, (at) => anInterface(`eth${at}`)),
      routes: [],
      dns: { servers: [], search: [] },
    },
    bootLoader: {
      kind: "grub",
      entries: times(90, (at) => ({ id: `Boot${at}`, label: "debian", active: true })),
    },
    cpu: { count: 64, model: "unknown", flags: times(400, (at) => `flag${at}`) },
  });
  const { bytes, event } = sent(connected(large));
  expect(bytes).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
  const { problems = [], disks } = inventoryIn(event);
  expect(disks).toHaveLength(256);
  expect(problems.join("\n")).toMatch(/only 256 of 300 entries of disks are listed/);
  expect(problems.join("\n")).toMatch(/entries of network\.interfaces/);
});

/** Texts whose JSON is up to six bytes for each character. */
const text = (most: number) =>
  fc
    .tuple(fc.constantFrom("a", '"', "\u0001", "é", "漢", "😀"), fc.nat(most))
    .map(([letter, length]) => letter.repeat(Math.ceil(length / letter.length)).slice(0, most));

const count = (most: number) => fc.oneof(fc.nat(Math.min(3, most)), fc.nat(most), fc.constant(most));

const inventories = fc
  .record({
    ...{
      disks: count(100),
      partitions: count(8),
      mounts: count(6),
      interfaces: count(128),
      routes: count(256),
    },
    ...{ entries: count(64), flags: count(512), arming: count(16), groups: count(20), volumes: count(10) },
    ...{ arrays: count(20), members: count(8), tools: count(32), dns: count(16) },
    ...{ short: text(256), long: text(1000), path: text(1024) },
  })
  .map((of): Inventory => {
    const content = { type: of.short, label: of.short };
    const mountPoints = times(of.mounts, () => of.path);
    return anInventory({
      hostname: of.short,
      disks: times(of.disks, (at) => ({
        ...aDisk(`d${at}`),
        path: of.path,
        model: of.short,
        partitions: times(of.partitions, (number) =>
          aPartition(number + 1, of.short.slice(0, 200), of.mounts),
        ),
        mountPoints,
      })),
      volumeGroups: times(of.groups, () => ({
        ...{ name: of.short, uuid: of.short, sizeBytes: 1, freeBytes: 0, extentBytes: 1 },
        physicalVolumes: times(of.members, () => of.path),
        logicalVolumes: times(of.volumes, () => ({
          ...{ name: of.short, path: of.path, sizeBytes: 1, layout: of.short, content, mountPoints },
        })),
      })),
      raidArrays: times(of.arrays, () => ({
        ...{
          name: of.short,
          path: of.path,
          level: of.short,
          sizeBytes: 1,
          degraded: false,
          content,
          mountPoints,
        },
        ...{ state: "active" as const, members: times(of.members, () => of.path) },
      })),
      bootLoader: {
        ...{ kind: "grub" as const, configPath: of.path, environmentPath: of.path, espPath: of.path },
        entries: times(of.entries, () => ({ id: of.short, label: of.short, active: true })),
        arming: times(of.arming, () => ({
          ...{ adapter: of.short, possible: false, reason: of.long, fallback: of.long, folder: of.path },
        })),
      },
      cpu: { count: 1, model: of.short, flags: times(of.flags, () => of.short) },
      network: {
        interfaces: times(of.interfaces, () => anInterface(of.short)),
        routes: times(of.routes, () => ({ destination: of.short, gateway: of.short, device: of.short })),
        dns: { servers: times(of.dns, () => of.short), search: times(of.dns, () => of.short) },
      },
      missingTools: times(of.tools, () => ({ tool: of.short, package: of.short })),
    });
  })
  // Larger ones are no machine, and take the test long.
  .filter((inventory) => jsonBytes(inventory) < 500_000);

test("any inventory that the schema allows yields a message of at most 120 KiB that the control plane can read", () => {
  fc.assert(
    fc.property(inventories, (inventory) => {
      expect(Inventory.safeParse(inventory).success).toBe(true);
      const { bytes, event } = sent(connected(inventory));
      expect(bytes).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
      const { problems, ...told } = inventoryIn(event);
      if (problems === undefined) expect(told).toEqual(inventory);
      else expect(told).not.toEqual(inventory);
    }),
    { numRuns: 20 },
  );
});

describe("a command", () => {
  const ofCommand = { commandId: "cnv_1.materialise.1", at: AT, environment: "original" as const };

  test("whose result is too large fails by name, and its agent continues", () => {
    const output = { disks: times(256, (at) => ({ name: `d${at}`, path: "/x".repeat(2000) })) };
    const { bytes, event } = sent({ ...ofCommand, type: "command-succeeded", output });
    expect(bytes).toBeLessThan(2000);
    expect(event).toMatchObject({
      type: "command-failed",
      commandId: ofCommand.commandId,
      failure: { name: "MessageTooLargeError", retryable: false, hint: expect.stringMatching(/\w/) },
    });
  });

  test("that answers with an inventory answers with what fits", () => {
    const inventory = anInventory({
      cpu: { count: 1, model: "unknown", flags: times(512, () => "f".repeat(256)) },
    });
    const { event } = sent({ ...ofCommand, type: "command-succeeded", output: { inventory } });
    expect(event).toMatchObject({ type: "command-succeeded", output: { inventory: { hostname: "pine" } } });
  });

  test("that fails with much text keeps its name and the beginning", () => {
    const failure = {
      ...{ name: "DiskReadError", message: "m".repeat(500_000), hint: "h", retryable: true },
      details: { log: "x".repeat(500_000) },
    };
    const { bytes, event } = sent({ ...ofCommand, type: "command-failed", failure });
    expect(bytes).toBeLessThan(10_000);
    expect(event).toMatchObject({ failure: { name: "DiskReadError", retryable: true } });
  });
});
