import { expect, test } from "vitest";
import { aReach } from "#shared/domain/testing/records.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { formatNetworkPlan } from "../boot-image/network-plan.ts";
import { networkPlanOf } from "./network-plan-of.ts";

type Interface = Inventory["network"]["interfaces"][number];

const ethernet = (name: string, more: Partial<Interface> = {}): Interface => ({
  name,
  macAddress: `52:54:00:00:00:0${name.at(-1)}`,
  kind: "ethernet",
  state: "up",
  mtuBytes: 1500,
  addresses: [],
  configuration: { source: "ifupdown", method: "static" },
  ...more,
});

const ipv4 = (address: string, dynamic = false) => ({
  family: "ipv4" as const,
  address,
  prefixLength: 24,
  dynamic,
});

/** The control plane is reached over the last interface that has an address. */
function network(
  interfaces: Interface[],
  more: Partial<Inventory["network"]> = {},
): Pick<Inventory, "network"> {
  const device = interfaces.findLast(({ addresses }) => addresses.length > 0)?.name ?? "none";
  return {
    network: { interfaces, routes: [], dns: { servers: [], search: [] }, reach: aReach({ device }), ...more },
  };
}

test("a static address comes with its gateway and name servers, but not with a resolver on the machine itself", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] })], {
      dns: { servers: ["127.0.0.53", "192.0.2.53"], search: ["example.com"] },
    }),
  );
  expect(plan && formatNetworkPlan(plan).split("\n")).toEqual([
    "port eth0 52:54:00:00:00:00",
    "mtu eth0 1500",
    "address eth0 192.0.2.10/24",
    "route eth0 4 default via 192.0.2.1 onlink",
    "nameserver 192.0.2.53",
    "search example.com",
    "",
  ]);
});

test("an address from DHCP is requested again, and so is its default route", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [{ ...ipv4("192.0.2.10", true), origin: "lease" }] })]),
  );
  expect(plan?.ports).toMatchObject([{ dhcp: { routes: true }, addresses: [], routes: [] }]);
});

test("other routes over the port are carried with their metric, but none of a cluster", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] })], {
      routes: [
        { destination: "default", gateway: "192.0.2.1", device: "eth0", metric: 100 },
        { destination: "default", gateway: "192.0.2.2", device: "eth0", metric: 200 },
        { destination: "10.0.0.0/8", gateway: "192.0.2.3", device: "eth0", metric: 5, protocol: "static" },
        { destination: "10.244.1.0/24", gateway: "192.0.2.11", device: "eth0", protocol: "bird" },
        { destination: "198.51.100.7", gateway: "192.0.2.1", device: "eth0" },
        { destination: "2001:db8::7", gateway: "fe80::1", device: "eth0" },
      ],
    }),
  );
  expect(plan?.ports[0]?.routes).toMatchObject([
    { to: "default", via: "192.0.2.1", metric: undefined },
    { to: "10.0.0.0/8", via: "192.0.2.3", metric: 5 },
    { to: "198.51.100.7/32", via: "192.0.2.1" },
  ]);
});

test("with two source addresses on one port, each route names its own", () => {
  const { paths } = aReach();
  const reach = aReach(
    {},
    { paths: [...paths, ...aReach({ to: "s3", source: "192.0.2.20", destination: "10.0.0.0/8" }).paths] },
  );
  const addresses = [ipv4("192.0.2.10"), ipv4("192.0.2.20")];
  const plan = networkPlanOf(network([ethernet("eth0", { addresses })], { reach }));
  expect(plan && formatNetworkPlan(plan).split("\n").slice(2, -1)).toEqual([
    "address eth0 192.0.2.10/24",
    "address eth0 192.0.2.20/24",
    "route eth0 4 default via 192.0.2.1 onlink src 192.0.2.10",
    "route eth0 4 10.0.0.0/8 via 192.0.2.1 onlink src 192.0.2.20",
  ]);
});

test("the resolver settings that are kept are those that mean the same in the boot environment", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] })], {
      dns: {
        servers: ["127.0.0.53", "fe80::1%eth0", "192.0.2.53"],
        search: [".", "example.com.", "_msdcs.example.com", "a b"],
      },
    }),
  );
  expect(plan).toMatchObject({
    nameservers: ["192.0.2.53"],
    searchDomains: ["example.com", "_msdcs.example.com"],
  });
});

test("a bridge's address goes to the port that leads out of it", () => {
  const plan = networkPlanOf(
    network([
      ethernet("eth0"),
      ethernet("br0", { kind: "bridge", bridge: { members: ["eth0"] }, addresses: [ipv4("192.0.2.10")] }),
    ]),
  );
  expect(plan).toMatchObject({
    ports: [{ name: "eth0", addresses: ["192.0.2.10/24"], routes: [{ to: "default", via: "192.0.2.1" }] }],
  });
});

test("a VLAN on a bond is built from its ports, which are found by the adapters' own addresses", () => {
  const plan = networkPlanOf(
    network([
      ethernet("eth0", { macAddress: "52:54:00:00:00:99", permanentMacAddress: "52:54:00:00:00:00" }),
      ethernet("eth1"),
      ethernet("bond0", { kind: "bond", bond: { mode: "802.3ad", members: ["eth0", "eth1"] } }),
      ethernet("bond0.7", {
        kind: "vlan",
        vlan: { id: 7, parent: "bond0" },
        addresses: [ipv4("192.0.2.10")],
      }),
    ]),
  );
  expect(plan).toMatchObject({
    ports: [{ name: "eth0", macAddress: "52:54:00:00:00:00" }, { name: "eth1" }],
    bonds: [{ name: "bond0", mode: "802.3ad", ports: ["eth0", "eth1"], setMacAddress: "52:54:00:00:00:00" }],
    vlans: [{ name: "bond0.7", link: "bond0", id: 7, addresses: ["192.0.2.10/24"] }],
  });
});

test("ports without a use are not in the plan, so that nothing waits for them", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] }), ethernet("eth1")]),
  );
  expect(plan?.ports.map(({ name }) => name)).toEqual(["eth0"]);
});

test("a machine without an address on an Ethernet port gets no plan, so that the boot environment tries every port", () => {
  expect(networkPlanOf(network([]))).toBeUndefined();
  expect(networkPlanOf(network([ethernet("eth0")]))).toBeUndefined();
});
