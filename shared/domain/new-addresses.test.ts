import { expect, test } from "vitest";
import type { Inventory, NetworkInterface } from "../protocol/inventory.ts";
import type { NewAddress } from "../protocol/new-address.ts";
import { networkOnMachine, systemAddresses } from "./new-addresses.ts";

type Address = NetworkInterface["addresses"][number];
type Network = Inventory["network"];

const own = (address: string, change: Partial<Address> = {}): Address => ({
  ...{ family: address.includes(":") ? "ipv6" : "ipv4", address, dynamic: false, origin: "configured" },
  prefixLength: address.includes(":") ? 64 : 24,
  ...change,
});

const port = (
  name: string,
  addresses: Address[],
  change: Partial<NetworkInterface> = {},
): NetworkInterface => ({
  ...{ name, kind: "ethernet", state: "up", mtuBytes: 1500, addresses },
  configuration: { source: "ifupdown", method: "static" },
  ...change,
});

const network = (interfaces: NetworkInterface[], routes: Network["routes"] = []): Network => ({
  ...{ interfaces, routes },
  dns: { servers: ["192.0.2.53", "127.0.0.1", "not-an-address", "2001:db8::53", "192.0.2.54"], search: [] },
});

const cards = ["eth0", "eth1"].map((name, at) => ({
  ...{ address: `52:54:00:00:00:0${at}`, replaces: { name, address: "00:0c:29:d5:2c:03" } },
}));

const asked = (change: Partial<NewAddress> = {}): NewAddress => ({
  ...{ interface: "eth0", address: "192.0.2.20", prefixLength: 24, nameServers: [], ...change },
});

const default_ = (gateway: string, device = "eth0", protocol = "static") => ({
  ...{ destination: "default", gateway, device, protocol },
});

const of = (one: NewAddress, from: Network) => systemAddresses([one], { cards, network: from })[0];

test("the source's gateway stays if the new prefix contains it, and its name servers if DHCP gave the address", () => {
  const leased = network(
    [port("eth0", [own("192.0.2.10", { dynamic: true, origin: "lease" })])],
    [default_("192.0.2.1", "eth0", "dhcp")],
  );
  expect(of(asked(), leased)).toEqual({
    ...asked({ gateway: "192.0.2.1", nameServers: ["192.0.2.53", "127.0.0.1", "2001:db8::53"] }),
    instead: { address: "192.0.2.10", prefixLength: 24, isLeased: true },
  });
  expect(of(asked({ nameServers: ["9.9.9.9"] }), leased)?.nameServers).toEqual(["9.9.9.9"]);
  const older = network([port("eth0", [own("192.0.2.10", { dynamic: true, origin: undefined })])]);
  expect(of(asked(), older)).toMatchObject({ instead: { isLeased: true } });
  const fixed = network([port("eth0", [own("192.0.2.10")])], [default_("192.0.2.1", "eth1")]);
  expect(of(asked(), fixed)).toMatchObject({ nameServers: [] });
  expect(of(asked(), fixed)).not.toHaveProperty("gateway");
});

test("a router that announces itself is no gateway that has to be named", () => {
  const announced = network([port("eth0", [own("2001:db8::10")])], [default_("2001:db8::1", "eth0", "ra")]);
  expect(of(asked({ address: "2001:db8:1::20", prefixLength: 64 }), announced)).not.toHaveProperty("gateway");
});

test("the machine's own address makes way, and neither a cluster's nor one that a router made", () => {
  const addresses = [
    ...[own("192.0.2.9", { origin: "cluster" }), own("192.0.2.10"), own("192.0.2.11")],
    ...[own("fe80::1"), own("2001:db8::1", { origin: "router" }), own("2001:db8::2")],
  ];
  const from = network([port("eth0", addresses)]);
  expect(of(asked(), from)?.instead?.address).toBe("192.0.2.10");
  expect(of(asked({ address: "2001:db8::20" }), from)?.instead?.address).toBe("2001:db8::2");
  const shared = network([port("eth0", [own("192.0.2.9", { origin: "cluster" })])]);
  expect(of(asked(), shared)).not.toHaveProperty("instead");
});

test("an address can be that of a bond, a bridge or a VLAN over a port whose place a card takes", () => {
  const above = network([
    port("eth0", [], { master: "bond0" }),
    port("bond0", [], { kind: "bond", master: "br0" }),
    port("br0", [own("192.0.2.10")], { kind: "bridge" }),
    port("eth1.7", [], { kind: "vlan", vlan: { id: 7, parent: "eth1" } }),
    port("eth1", []),
  ]);
  for (const name of ["br0", "eth1.7", "eth1"])
    expect(of(asked({ interface: name }), above)).toMatchObject({ interface: name });
  expect(() => of(asked(), above)).toThrow("eth0 is a part of bond0, which has the address: name bond0");
});

test.each<[string, NewAddress[], Network | undefined, string]>([
  ["a source without a network", [asked()], undefined, "has not reported its network"],
  [
    "an interface that is not there",
    [asked({ interface: "eth9" })],
    network([port("eth0", [])]),
    "it has eth0",
  ],
  ["a port without a card", [asked({ interface: "eth2" })], network([port("eth2", [])]), "--port PORT"],
  [
    "an interface of a system that starts from the network",
    [asked()],
    network([port("eth0", [], { configuration: { source: "kernel", method: "static" } })]),
    "from the kernel's parameters",
  ],
  [
    "an address that another interface keeps",
    [asked()],
    network([port("eth0", []), port("eth1", [own("192.0.2.20")])]),
    "192.0.2.20 is an address of eth1, which keeps it",
  ],
  [
    "a gateway that would be out of reach",
    [asked({ address: "198.51.100.20" })],
    network([port("eth0", [own("192.0.2.10")])], [default_("192.0.2.1")]),
    "name its new gateway",
  ],
])("%s is refused", (_, all, from, why) => {
  expect(() => systemAddresses(all, { cards, network: from })).toThrow(why);
});

test("two interfaces can exchange their addresses", () => {
  const both = network([port("eth0", [own("192.0.2.10")]), port("eth1", [own("192.0.2.20")])]);
  const all = [asked(), asked({ interface: "eth1", address: "192.0.2.10" })];
  expect(systemAddresses(all, { cards, network: both })).toHaveLength(2);
});

test("the machine's network has the new address and gateway first, and everything else as the source's", () => {
  const from = network(
    [port("eth0", [own("192.0.2.10"), own("192.0.2.11")]), port("eth1", [own("203.0.113.5")])],
    [default_("192.0.2.1")],
  );
  const address = of(asked({ address: "198.51.100.20", gateway: "198.51.100.1" }), from);
  const { interfaces, routes } = networkOnMachine(from, address ? [address] : []);
  const shown = interfaces.map((one) => one.addresses.map((each) => each.address));
  expect(shown).toEqual([["198.51.100.20", "192.0.2.11"], ["203.0.113.5"]]);
  expect(routes.map(({ gateway }) => gateway)).toEqual(["198.51.100.1", "192.0.2.1"]);
  expect(networkOnMachine(from, [])).toEqual(from);
});
