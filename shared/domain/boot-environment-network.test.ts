import { expect, test } from "vitest";
import type { Inventory, NetworkInterface } from "../protocol/inventory.ts";
import { bootEnvironmentNetworkOf } from "./boot-environment-network.ts";
import { aReach } from "./testing/records.ts";

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

/** The control plane is reached over the interface, from its address. */
function networkOf(interfaces: NetworkInterface[], device: string) {
  const source = interfaces.find(({ name }) => name === device)?.addresses[0]?.address;
  const network: Network = { interfaces, routes: [], dns: { servers: [], search: [] } };
  const { lost, ...found } = bootEnvironmentNetworkOf({ ...network, reach: aReach({ device, source }) });
  return {
    ...found,
    lost: lost.map(({ message }) => message.replace(/^.* is reached /, "")),
    addresses: found.interfaces.flatMap(({ name, addresses }) =>
      addresses.map(({ address }) => `${name} ${address}`),
    ),
    uplinks: found.routes.map(({ device: uplink }) => uplink),
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

test("a VLAN on a bridge is built on the bridge's port", () => {
  const { interfaces, uplinks, lost } = networkOf(
    [vlan("br0.7", 7, "br0", at("192.0.2.10")), bridge("br0", ["eth0"]), link("eth0")],
    "br0.7",
  );
  expect(interfaces).toMatchObject([{ name: "eth0", addresses: [] }, { vlan: { id: 7, parent: "eth0" } }]);
  expect(uplinks).toEqual(["br0.7"]);
  expect(lost).toEqual([]);
});

test("an interface that does not lead to the control plane is left out, whatever addresses it has", () => {
  const { interfaces, lost } = networkOf(
    [
      link("eth0", at("192.0.2.10")),
      link("eth1", at("203.0.113.10")),
      bond("bond0", ["eth1"]),
      bridge("virbr0", ["vnet0"], at("192.168.122.1")),
    ],
    "eth0",
  );
  expect(interfaces.map(({ name }) => name)).toEqual(["eth0"]);
  expect(lost).toEqual([]);
});

test("each interface comes after those that it is built on, in whatever order they were found", () => {
  const { interfaces } = networkOf(
    [
      vlan("outer.8", 8, "inner.7", at("192.0.2.10")),
      vlan("inner.7", 7, "bond0"),
      bond("bond0", ["eth0", "gone0"]),
      link("eth0"),
    ],
    "outer.8",
  );
  expect(interfaces.map(({ name }) => name)).toEqual(["eth0", "bond0", "inner.7", "outer.8"]);
  expect(interfaces[1]?.bond?.members).toEqual(["eth0"]);
});

test.each<[string, NetworkInterface[], string, string]>([
  [
    "on a bridge of several ports",
    [bridge("br0", ["eth0", "eth1"], at("192.0.2.10")), link("eth0"), link("eth1")],
    "br0",
    "over br0, which leads out by eth0 and eth1: the boot environment cannot make bridges",
  ],
  [
    "on a VLAN of such a bridge",
    [vlan("br0.7", 7, "br0", at("192.0.2.10")), bridge("br0", ["eth0", "eth1"]), link("eth0"), link("eth1")],
    "br0.7",
    "over br0.7, which leads out by eth0 and eth1: the boot environment cannot make bridges",
  ],
  [
    "on a VLAN without a number of its own",
    [vlan("eth0.0", 0, "eth0", at("192.0.2.10")), link("eth0")],
    "eth0.0",
    "over eth0.0, which cannot be set up in the boot environment",
  ],
  [
    "on a port without a hardware address",
    [link("eth0", { macAddress: undefined, ...at("192.0.2.10") })],
    "eth0",
    "over eth0, which cannot be set up in the boot environment",
  ],
  [
    "on a port with a hardware address of a group",
    [link("eth0", { macAddress: "01:00:5e:00:00:01", ...at("192.0.2.10") })],
    "eth0",
    "over eth0, which cannot be set up in the boot environment",
  ],
  ["none", [link("eth0", at("192.0.2.1000"))], "eth0", "from 192.0.2.1000, which is not an address"],
  [
    "on a bridge that leads to no port",
    [bridge("br0", ["vnet0"], at("192.0.2.10"))],
    "br0",
    "over br0, a bridge without a port of the machine",
  ],
])("an address that is %s is lost", (_, interfaces, device, expected) => {
  expect(networkOf(interfaces, device).lost).toEqual([expected]);
});

test("interfaces that are built on each other in a circle do not loop forever", () => {
  const circle = [bridge("br0", ["a"], at("192.0.2.10")), vlan("a", 1, "b"), vlan("b", 2, "br0")];
  expect(networkOf(circle, "br0")).toMatchObject({ interfaces: [], addresses: [] });
});

test("of several name servers one that can be reached is enough, and of a host one address", () => {
  const to = (name: string, use: "control-plane" | "name-server", device: string) =>
    aReach({ to: name, use, device }).paths;
  const paths = [
    ...to("mqtt.example.com", "control-plane", "wg0"),
    ...to("mqtt.example.com", "control-plane", "eth0"),
    ...to("10.9.0.53", "name-server", "wg0"),
    ...to("192.0.2.53", "name-server", "eth0"),
  ];
  const lostOf = (given: typeof paths) =>
    bootEnvironmentNetworkOf({
      interfaces: [link("eth0", at("192.0.2.10"))],
      routes: [],
      dns: { servers: [], search: [] },
      reach: aReach({}, { paths: given }),
    }).lost;
  expect(lostOf(paths)).toEqual([]);
  expect(lostOf(paths.slice(0, 3))).toMatchObject([{ message: expect.stringContaining("10.9.0.53") }]);
});
