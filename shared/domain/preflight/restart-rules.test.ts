import { expect, test } from "vitest";
import type { BootArming, Inventory, NetworkInterface } from "../../protocol/inventory.ts";
import { preflightFindings, preflightRules } from "../preflight.ts";
import { aBootImage, aConversion, aDisk, anInventory, aReach, aSource, aTarget } from "../testing/records.ts";
import { untouchedWhereabouts } from "../whereabouts.ts";
import type { PreflightFacts } from "./rule.ts";

const grub: BootArming = {
  adapter: "grub",
  possible: true,
  form: "kernel-and-initrd",
  folder: "/boot/causeway",
  freeBytes: 1e9,
};

function port(name: string, change: Partial<NetworkInterface> = {}): NetworkInterface {
  return {
    name,
    macAddress: `52:54:00:12:34:5${/\d/.exec(name)?.[0] ?? 9}`,
    kind: "ethernet",
    state: "up",
    mtuBytes: 1500,
    driver: "virtio_net",
    addresses: [{ family: "ipv4", address: "192.0.2.10", prefixLength: 24, dynamic: false }],
    configuration: { source: "ifupdown", method: "static" },
    ...change,
  };
}

function network(...interfaces: NetworkInterface[]): Inventory["network"] {
  const device = interfaces[0]?.name ?? "eth0";
  return {
    interfaces,
    routes: [{ destination: "default", gateway: "192.0.2.1", device }],
    dns: { servers: [], search: [] },
    reach: aReach({ device }),
  };
}

const bridge = (...members: string[]) =>
  port("br0", { kind: "bridge", driver: undefined, bridge: { members } });

const ready = {
  bootLoader: { kind: "grub" as const, entries: [], arming: [grub] },
  network: network(port("eth0")),
} satisfies Partial<Inventory>;

function facts(inventory: Partial<Inventory> = {}, change: Partial<PreflightFacts> = {}): PreflightFacts {
  return {
    conversion: aConversion({
      type: "remote-cold",
      bootImageId: aBootImage().id,
      whereabouts: untouchedWhereabouts("2030-01-01T00:00:00.000Z"),
    }),
    source: aSource({ heldBy: "cnv_1", inventory: anInventory({ ...ready, ...inventory }) }),
    target: aTarget(),
    bootImage: aBootImage(),
    ...change,
  };
}

const outcomes = (given: PreflightFacts) =>
  preflightRules(given).flatMap(({ id, outcome }) => (outcome === "pass" ? [] : [`${outcome} ${id}`]));

test("a machine with one of our boot loaders, drivers in the image and a static address passes", () => {
  expect(outcomes(facts())).toEqual([]);
});

const withoutFirmware = aBootImage({
  drivers: [{ name: "virtio_net" }, { name: "qla2xxx", lacksFirmware: "firmware-qlogic" }],
});

function raid(degraded: boolean | "unknown"): Inventory["raidArrays"][number] {
  const content = { type: "ext4" };
  return {
    name: "md0",
    path: "/dev/md0",
    level: "raid1",
    sizeBytes: 1,
    state: "active",
    degraded,
    members: [],
    content,
    mountPoints: [],
  };
}

const windows = { ...anInventory().operatingSystem, family: "windows" as const };
const pe = aBootImage({ system: "windows-pe" });

test("a Windows drive with the letter X is refused for an image that needs it itself", () => {
  const taken = facts({ operatingSystem: windows, volumeLetters: ["C", "X"] }, { bootImage: pe });
  expect(outcomes(taken)).toEqual(["fail drive-letter-x"]);
  expect(preflightFindings(taken)[0]?.remedy).toMatch(/another letter/);
});

test.each<[string, PreflightFacts, string[]]>([
  [
    "other letters of a Windows source",
    facts({ operatingSystem: windows, volumeLetters: ["C", "D"] }, { bootImage: pe }),
    [],
  ],
  ["unknown letters", facts({ operatingSystem: windows }, { bootImage: pe }), ["fail drive-letter-x"]],
  ["a letter X with our own image", facts({ operatingSystem: windows, volumeLetters: ["X"] }), []],
  [
    "a source that last reported from the boot environment",
    facts({}, { source: { ...facts().source, environment: "boot-environment" } }),
    ["fail source-in-original"],
  ],
  ["an image file as the disk", facts({ disks: [aDisk("vda", { kind: "image" })] }), ["fail disks-real"]],
  [
    "a disk over the network",
    facts({ disks: [aDisk("vda", { transport: "iscsi", driver: "virtio_blk" })] }),
    ["fail disks-real"],
  ],
  [
    "no boot image",
    facts({}, { bootImage: undefined, conversion: { ...facts().conversion, bootImageId: undefined } }),
    [
      "fail boot-image",
      "unknown boot-image-architecture",
      "unknown boot-image-trusted",
      "unknown boot-loader-room",
      "unknown memory",
      "unknown secure-boot",
      "unknown drive-letter-x",
      "unknown disk-drivers",
      "unknown disk-firmware",
      "unknown network-drivers",
      "unknown network-firmware",
    ],
  ],
  [
    "a machine of another architecture",
    facts({ operatingSystem: { ...anInventory().operatingSystem, architecture: "aarch64" } }),
    ["fail boot-image-architecture"],
  ],
  [
    "a source that trusts another key than the image's",
    facts({ bootLoader: { ...ready.bootLoader, trustedImageKey: "d".repeat(64) } }),
    ["fail boot-image-trusted"],
  ],
  [
    "a source that trusts the image's key",
    facts({ bootLoader: { ...ready.bootLoader, trustedImageKey: aBootImage().signedBy } }),
    [],
  ],
  [
    "an unknown boot loader",
    facts({ bootLoader: { kind: "unknown", entries: [], arming: [] } }),
    ["fail boot-loader-known", "fail boot-loader-armable", "unknown boot-loader-room"],
  ],
  [
    "an agent that does not say how to arm",
    facts({ bootLoader: { kind: "grub", entries: [] } }),
    ["fail boot-loader-armable", "unknown boot-loader-room"],
  ],
  [
    "too little room beside the boot loader",
    facts({ bootLoader: { kind: "grub", entries: [], arming: [{ ...grub, freeBytes: 68e6 }] } }),
    ["fail boot-loader-room"],
  ],
  [
    "too little room for the preferred boot loader, and enough for another",
    facts({
      bootLoader: {
        kind: "grub",
        entries: [],
        arming: [{ ...grub, adapter: "boot-next", form: "unified-kernel", freeBytes: 20e6 }, grub],
      },
    }),
    [],
  ],
  [
    "LILO",
    facts({
      bootLoader: {
        kind: "lilo",
        entries: [],
        arming: [{ adapter: "grub", possible: false, reason: "this machine is started by LILO" }],
      },
    }),
    ["fail boot-loader-armable", "unknown boot-loader-room"],
  ],
  [
    "unknown room",
    facts({ bootLoader: { kind: "grub", entries: [], arming: [{ ...grub, freeBytes: undefined }] } }),
    ["unknown boot-loader-room"],
  ],
  ["too little memory", facts({ memoryBytes: 512 * 2 ** 20 }), ["fail memory"]],
  ["memory as a machine with the least of it tells", facts({ memoryBytes: 980 * 2 ** 20 }), []],
  ["unknown memory", facts({ memoryBytes: "unknown" }), ["unknown memory"]],
  [
    "Secure Boot and an image without a signature for it",
    facts({ firmware: { kind: "uefi", secureBoot: "enabled" } }),
    ["fail secure-boot"],
  ],
  [
    "Secure Boot and an image that is signed for it",
    facts(
      { firmware: { kind: "uefi", secureBoot: "enabled" } },
      { bootImage: aBootImage({ secureBootSigned: true }) },
    ),
    [],
  ],
  [
    "a disk controller without a driver",
    facts({ disks: [aDisk("vda", { driver: "megaraid_sas" })] }),
    ["fail disk-drivers"],
  ],
  [
    "a disk of a bus without a driver",
    facts({ disks: [aDisk("vda", { transport: "nvme" })] }),
    ["fail disk-drivers"],
  ],
  [
    "a disk with an unknown driver",
    facts({ disks: [aDisk("vda", { transport: "sata" })] }),
    ["unknown disk-drivers"],
  ],
  ["a driver written with a dash", facts({ disks: [aDisk("vda", { driver: "virtio-blk" })] }), []],
  [
    "a network adapter without a driver",
    facts({ network: network(port("eth0", { driver: "tg3" })) }),
    ["fail network-drivers"],
  ],
  [
    "a network adapter without its firmware",
    facts({ network: network(port("eth0", { driver: "bnx2" })) }),
    ["fail network-firmware"],
  ],
  [
    "a bond of which one port works without firmware",
    facts({
      network: network(
        port("bond0", { kind: "bond", bond: { mode: "802.3ad", members: ["eth0", "eth1"] } }),
        port("eth0", { driver: "bnx2" }),
        port("eth1"),
      ),
    }),
    [],
  ],
  [
    "a disk controller without its firmware",
    facts({ disks: [aDisk("vda", { driver: "qla2xxx" })] }, { bootImage: withoutFirmware }),
    ["fail disk-firmware"],
  ],
  [
    "a network adapter with an unknown driver",
    facts({ network: network(port("eth0", { driver: undefined })) }),
    ["unknown network-drivers"],
  ],
  [
    "a VLAN on a bond of which one port has a driver",
    facts({
      network: network(
        port("bond0.7", { kind: "vlan", driver: undefined, vlan: { id: 7, parent: "bond0" } }),
        port("bond0", {
          kind: "bond",
          driver: "bonding",
          bond: { mode: "802.3ad", members: ["eth0", "eth1"] },
        }),
        port("eth0", { driver: "tg3" }),
        port("eth1"),
      ),
    }),
    [],
  ],
  [
    "a bond with an unknown mode",
    facts({
      network: network(
        port("bond0", { kind: "bond", bond: { mode: "unknown", members: ["eth0"] } }),
        port("eth0"),
      ),
    }),
    ["warn network-settings"],
  ],
  [
    "a bridge",
    facts({ network: network(bridge("eth0"), port("eth0", { addresses: [] })) }),
    ["warn network-settings"],
  ],
  [
    "a bridge of two ports",
    facts({
      network: network(
        bridge("eth0", "eth1"),
        port("eth0", { addresses: [] }),
        port("eth1", { addresses: [] }),
      ),
    }),
    ["fail network-addresses", "warn network-settings"],
  ],
  [
    "a default route to a bridge of guests",
    facts({ network: network(bridge("vnet0")) }),
    ["unknown network-drivers", "fail network-addresses", "warn network-settings"],
  ],
  ["a bridge of guests beside the network", facts({ network: network(port("eth0"), bridge("vnet0")) }), []],
  [
    "a wireless network",
    facts({ network: network(port("wlan0", { kind: "wireless" })) }),
    ["unknown network-drivers", "fail network-wired", "fail network-addresses"],
  ],
  [
    "an address with an unknown origin",
    facts({ network: network(port("eth0", { configuration: { source: "unknown", method: "unknown" } })) }),
    ["warn network-settings"],
  ],
  [
    "no network at all",
    facts({ network: network() }),
    [
      "unknown network-drivers",
      "unknown network-wired",
      "fail network-addresses",
      "unknown network-settings",
    ],
  ],
  [
    "an encrypted volume",
    facts({
      disks: [
        aDisk("vda", {
          partitions: [
            {
              number: 1,
              offsetBytes: 0,
              sizeBytes: 1,
              type: "unknown",
              bootable: false,
              mountPoints: [],
              content: { type: "crypto_LUKS" },
            },
          ],
        }),
      ],
    }),
    ["warn disks-not-encrypted"],
  ],
  ["an agent that somebody started", facts({ agentStart: "by-hand" }), ["warn agent-starts-at-boot"]],
  ["an agent of which that is not known", facts({ agentStart: "unknown" }), ["unknown agent-starts-at-boot"]],
  [
    "a RAID without one of its disks",
    facts({ raidArrays: [raid(false), raid(true)] }),
    ["warn raid-complete"],
  ],
  ["a RAID of which that is not known", facts({ raidArrays: [raid("unknown")] }), []],
])("%s is found as it is", (_, given, expected) => {
  expect(outcomes(given)).toEqual(expected);
});

test("the agent's own words say why a boot loader cannot be armed, and what to do instead", () => {
  const arming = [{ adapter: "grub", possible: false, reason: "grubenv is on LVM", fallback: "use the ISO" }];
  const [finding] = preflightFindings(facts({ bootLoader: { kind: "grub", entries: [], arming } }));
  expect(finding).toMatchObject({ id: "boot-loader-armable", severity: "fail" });
  expect(finding?.message).toBe("grub: grubenv is on LVM (use the ISO)");
});

test("an unknown outcome is a warning and does not stop a conversion, because the agent checks again", () => {
  const found = preflightFindings(facts({ memoryBytes: "unknown" }));
  expect(found).toMatchObject([{ id: "memory", severity: "warn" }]);
});

test("without a target, what concerns it stays open", () => {
  expect(outcomes(facts({}, { target: undefined }))).toEqual([
    "unknown target-connected",
    "unknown target-room",
    "unknown target-not-full",
    "unknown target-boots",
  ]);
});

test("every rule has an id of its own, and says what holds and what to do", () => {
  const rules = preflightRules(facts({ network: network() }, { bootImage: undefined, target: undefined }));
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  for (const { outcome, message, remedy } of rules) {
    expect(message).toMatch(/^\w/);
    if (outcome !== "pass") expect(remedy).toMatch(/\w+.*\.$/);
  }
});

test("the finding for a bridge of several ports names the ports and the alternatives", () => {
  const [finding] = preflightFindings(
    facts({ network: network(bridge("eth0", "eth1"), port("eth0"), port("eth1")) }),
  );
  expect(finding?.message).toContain("eth0 and eth1");
  expect(finding?.remedy).toMatch(/hot.*by hand/);
});

test("the finding for missing firmware names its package and says how to get it into the image", () => {
  const [finding] = preflightFindings(facts({ network: network(port("eth0", { driver: "bnx2" })) }));
  expect(finding?.message).toContain("firmware-bnx2");
  expect(finding?.remedy).toContain("--firmware DIR");
});
