import { describe, expect, test } from "vitest";
import type { AnswerCheck } from "../protocol/answer-check.ts";
import type { NetworkInterface } from "../protocol/inventory.ts";
import { IsolatedNetworks } from "../protocol/isolated-network.ts";
import { type AskedMachine, isolatedChecks } from "./isolated-checks.ts";

const MAC = "52:54:00:12:34:50";
type Address = NetworkInterface["addresses"][number];

function port(name: string, addresses: Partial<Address>[], change: Partial<NetworkInterface> = {}) {
  return {
    ...{ name, kind: "ethernet", state: "up", mtuBytes: 1500, ...(name === "eth0" && { macAddress: MAC }) },
    addresses: addresses.map((one) => ({
      ...{ family: "ipv4", address: "192.0.2.7", prefixLength: 24, dynamic: false },
      ...one,
    })),
    configuration: { source: "ifupdown", method: "static" },
    ...change,
  } as NetworkInterface;
}

function machine(interfaces: NetworkInterface[], change: Partial<AskedMachine> = {}): AskedMachine {
  const gateways = ["2001:db8::1", "fe80::1", "198.51.100.1", "192.0.2.1"];
  const routes = gateways.map((gateway) => ({ destination: "default", gateway, device: "eth0" }));
  return {
    hypervisor: "libvirt",
    cards: [{ address: MAC, link: { kind: "bridge", bridge: "br0" } }],
    inventory: { network: { interfaces, routes, dns: { servers: [], search: [] } } },
    ...change,
  };
}

const tcp = (host: string): AnswerCheck => ({ kind: "tcp", host, port: 22 });

test("a check at an address of the source is asked by the gateway of its network", () => {
  const both = [{}, { address: "2001:db8::7", prefixLength: 64 }] as const;
  const { networks, asked } = isolatedChecks(tcp("2001:DB8:0::7"), machine([port("eth0", [...both])]));
  expect(asked).toHaveLength(1);
  expect(networks).toEqual([
    { gateway: "192.0.2.1", prefixLength: 24, addresses: ["192.0.2.7"] },
    { gateway: "2001:db8::1", prefixLength: 64, addresses: ["2001:db8::7"] },
  ]);
});

test("addresses of one network have one gateway", () => {
  const own = port("eth0", [{}, { address: "192.0.2.8" }]);
  expect(isolatedChecks(tcp("192.0.2.8"), machine([own])).networks).toEqual([
    { gateway: "192.0.2.1", prefixLength: 24, addresses: ["192.0.2.7", "192.0.2.8"] },
  ]);
});

test("an address at a bridge or bond over the port is asked at the card that takes the port's place", () => {
  const interfaces = [
    port("eth0", [], { master: "bond0" }),
    port("bond0", [], { kind: "bond", master: "br0" }),
    port("br0", [{}], { kind: "bridge" }),
  ];
  expect(isolatedChecks(tcp("192.0.2.7"), machine(interfaces)).asked).toHaveLength(1);
});

describe("a check is left to the time after the commit", () => {
  test.each<[string, NetworkInterface, string, Partial<AskedMachine>?]>([
    ["if DHCP gives its address", port("eth0", [{ dynamic: true }]), "DHCP"],
    ["if a router gives its address", port("eth0", [{ origin: "router" }]), "DHCP or a router"],
    ["if a cluster moves its address", port("eth0", [{ origin: "cluster" }]), "a cluster moves it"],
    ["if its subnet is none", port("eth0", [{ prefixLength: 64 }]), "no gateway of its network"],
    [
      "if its network has no known gateway",
      port("eth0", [{ prefixLength: 32 }]),
      "no gateway of its network",
    ],
    ["if its address is in a VLAN", port("eth0.5", [{}], { vlan: { id: 5, parent: "eth0" } }), "in VLAN 5"],
    ["if no card has its port", port("eth1", [{}]), "no card of the machine takes the place of eth1"],
    ["if a master leads in circles", port("a", [{}], { master: "a" }), "no card of the machine"],
    [
      "if QEMU alone isolates its card",
      port("eth0", [{}]),
      "connects an isolated card to nothing",
      { hypervisor: "qemu", cards: [{ address: MAC, link: { kind: "isolated" } }] },
    ],
  ])("%s", (_, own, why, change) => {
    const { asked, networks, shown } = isolatedChecks(tcp("192.0.2.7"), machine([own], change));
    expect([asked, networks]).toEqual([[], []]);
    expect(shown).toMatchObject([{ check: "192.0.2.7:22", beforeCommit: "no" }]);
    expect(shown[0]?.why).toContain(why);
  });

  test("if its address is another machine's, or nothing is known of the source", () => {
    const own = [port("eth0", [{}])];
    expect(isolatedChecks(tcp("192.0.2.9"), machine(own)).shown[0]?.why).toContain("192.0.2.9");
    const unknown = isolatedChecks(tcp("pine"), machine([], { inventory: undefined }));
    expect(unknown.shown).toMatchObject([{ beforeCommit: "no", why: "no address of the source is known" }]);
  });
});

test("a check by name is asked if the name leads to an address that can be asked, and says so", () => {
  const check = { kind: "http", url: "http://pine/health", certificate: "verified" } as const;
  expect(isolatedChecks(check, machine([port("eth0", [{}])])).shown).toEqual([
    {
      ...{ check: "http://pine/health", beforeCommit: "by-name" },
      why: "only if the target host finds 192.0.2.7 by the name pine",
    },
  ]);
  const leased = isolatedChecks(check, machine([port("eth0", [{ dynamic: true }])]));
  expect(leased.shown[0]).toMatchObject({
    beforeCommit: "no",
    why: expect.stringContaining("192.0.2.7: DHCP"),
  });
});

test("no more networks and addresses are handed on than a target host takes, and the others are left to the time after the commit", () => {
  const addresses = Array.from({ length: 100 }, (_, index) => ({ address: `192.0.2.${index + 100}` }));
  const many = machine([port("eth0", addresses.slice(0, 50)), port("eth0", addresses.slice(50))]);
  const { networks, shown } = isolatedChecks(
    { kind: "all", checks: [tcp("192.0.2.100"), tcp("192.0.2.199")] } as AnswerCheck,
    many,
  );
  expect(IsolatedNetworks.parse(networks)[0]?.addresses).toHaveLength(64);
  expect(shown.map(({ beforeCommit }) => beforeCommit)).toEqual(["yes", "no"]);
});

test("what a source says that is no address is not handed on", () => {
  const own = port("eth0", [{ address: "192.0.2.7/24 dev lo" }, { address: "169.254.1.1" }]);
  const { inventory } = machine([own]);
  const routes = [{ destination: "default", gateway: "-f x", device: "eth0" }];
  const hostile = machine([port("eth0", [{}])], {
    inventory: inventory && { network: { ...inventory.network, routes } },
  });
  expect(isolatedChecks(tcp("169.254.1.1"), machine([own])).networks).toEqual([]);
  expect(isolatedChecks(tcp("192.0.2.7"), hostile).networks).toEqual([]);
});
