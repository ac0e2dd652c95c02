import { expect, test } from "vitest";
import type { Inventory, NetworkInterface } from "../protocol/inventory.ts";
import { bootEnvironmentNetworkOf } from "./boot-environment-network.ts";

type Network = Inventory["network"];

function link(name: string, change: Partial<NetworkInterface> = {}): NetworkInterface {
  return {
    name,
    macAddress: `52:54:00:00:00:0${/\d/.exec(name)?.[0] ?? 0}`,
    kind: "ethernet",
    state: "up",
    mtuBytes: 1500,
    addresses: [],
    configuration: { source: "ifupdown", method: "static" },
    ...change,
  };
}

const at = (address: string) => ({
  addresses: [{ family: "ipv4" as const, address, prefixLength: 24, dynamic: false }],
});
const bridge = (name: string, members: string[], change: Partial<NetworkInterface> = {}) =>
  link(name, { kind: "bridge", bridge: { members }, ...change });
const bond = (name: string, members: string[], change: Partial<NetworkInterface> = {}) =>
  link(name, { kind: "bond", bond: { mode: "802.3ad", members }, ...change });
const vlan = (name: string, id: number, parent: string, change: Partial<NetworkInterface> = {}) =>
  link(name, { kind: "vlan", vlan: { id, parent }, ...change });

function networkOf(interfaces: NetworkInterface[], uplink?: string) {
  const routes: Network["routes"] = uplink
    ? [{ destination: "default", gateway: "192.0.2.1", device: uplink }]
    : [];
  const found = bootEnvironmentNetworkOf({ interfaces, routes, dns: { servers: [], search: [] } });
  return {
    ...found,
    addresses: found.interfaces.flatMap(({ name, addresses }) =>
      addresses.map(({ address }) => `${name} ${address}`),
    ),
    uplinks: found.routes.map(({ device }) => device),
  };
}

test.each<[string, NetworkInterface[], string]>([
  ["port", [bridge("br0", ["vnet0", "eth0"], at("192.0.2.10")), link("eth0")], "eth0"],
  ["bond", [bridge("br0", ["bond0"], at("192.0.2.10")), bond("bond0", ["eth0"]), link("eth0")], "bond0"],
  ["VLAN", [bridge("br0", ["eth0.7"], at("192.0.2.10")), vlan("eth0.7", 7, "eth0"), link("eth0")], "eth0.7"],
])("a bridge's addresses and routes go to its %s", (_, interfaces, expected) => {
  expect(networkOf(interfaces, "br0")).toMatchObject({
    addresses: [`${expected} 192.0.2.10`],
    uplinks: [expected],
    lost: [],
  });
});

test("a VLAN on a bridge stands on the bridge's port", () => {
  const { interfaces, uplinks, lost } = networkOf(
    [vlan("br0.7", 7, "br0", at("192.0.2.10")), bridge("br0", ["eth0"]), link("eth0")],
    "br0.7",
  );
  expect(interfaces).toMatchObject([{ name: "eth0", addresses: [] }, { vlan: { id: 7, parent: "eth0" } }]);
  expect(uplinks).toEqual(["br0.7"]);
  expect(lost).toEqual([]);
});

test("what carries no address is left out, and so are bridges that do not lead out of the machine", () => {
  const { interfaces, lost } = networkOf([
    link("eth0", at("192.0.2.10")),
    link("eth1"),
    bond("bond0", ["eth1"]),
    bridge("virbr0", ["vnet0"], at("192.168.122.1")),
    vlan("virbr0.7", 7, "virbr0", at("192.168.123.1")),
  ]);
  expect(interfaces.map(({ name }) => name)).toEqual(["eth0"]);
  expect(lost).toEqual([]);
});

test("everything comes after what it stands on, whatever the order that it was found in", () => {
  const { interfaces } = networkOf([
    vlan("outer.8", 8, "inner.7", at("192.0.2.10")),
    vlan("inner.7", 7, "bond0"),
    bond("bond0", ["eth0", "gone0"]),
    link("eth0"),
  ]);
  expect(interfaces.map(({ name }) => name)).toEqual(["eth0", "bond0", "inner.7", "outer.8"]);
  expect(interfaces[1]?.bond?.members).toEqual(["eth0"]);
});

test.each<[string, NetworkInterface[], string]>([
  [
    "is on a bridge of several ports",
    [bridge("br0", ["eth0", "eth1"], at("192.0.2.10")), link("eth0"), link("eth1")],
    "br0 (192.0.2.10) leads out of the machine by eth0 and eth1, and the boot environment makes no bridges",
  ],
  [
    "is on a VLAN of such a bridge",
    [vlan("br0.7", 7, "br0", at("192.0.2.10")), bridge("br0", ["eth0", "eth1"]), link("eth0"), link("eth1")],
    "br0.7 (192.0.2.10) leads out of the machine by eth0 and eth1, and the boot environment makes no bridges",
  ],
  [
    "is on a VLAN without a number of its own",
    [vlan("eth0.0", 0, "eth0", at("192.0.2.10")), link("eth0")],
    "eth0.0 (192.0.2.10) cannot be set up in the boot environment",
  ],
  [
    "is on a port without a hardware address",
    [link("eth0", { macAddress: undefined, ...at("192.0.2.10") })],
    "eth0 (192.0.2.10) cannot be set up in the boot environment",
  ],
  ["is none", [link("eth0", at("192.0.2.1000"))], "192.0.2.1000/24 of eth0 is no address"],
])("an address that %s is lost", (_, interfaces, expected) => {
  expect(networkOf(interfaces).lost).toEqual([expected]);
});

test("a default route over a bridge that does not lead out of the machine is lost", () => {
  expect(networkOf([bridge("br0", ["vnet0"], at("192.0.2.10"))], "br0").lost).toEqual([
    "br0 (192.0.2.10) has the default route, and leads to no port of the machine",
  ]);
});

test("interfaces that stand on each other, as no machine has them, are not followed forever", () => {
  const circle = [bridge("br0", ["a"], at("192.0.2.10")), vlan("a", 1, "b"), vlan("b", 2, "br0")];
  expect(networkOf(circle)).toMatchObject({ interfaces: [], lost: [] });
});
