import { expect, test } from "vitest";
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

function network(
  interfaces: Interface[],
  more: Partial<Inventory["network"]> = {},
): Pick<Inventory, "network"> {
  return { network: { interfaces, routes: [], dns: { servers: [], search: [] }, ...more } };
}

test("a static address comes with its gateway and name servers, but not with a resolver on the machine itself", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] })], {
      routes: [{ destination: "default", gateway: "192.0.2.1", device: "eth0" }],
      dns: { servers: ["127.0.0.53", "192.0.2.53"], search: ["example.com"] },
    }),
  );
  expect(plan && formatNetworkPlan(plan).split("\n")).toEqual([
    "port eth0 52:54:00:00:00:00",
    "mtu eth0 1500",
    "address eth0 192.0.2.10/24",
    "route eth0 default 192.0.2.1",
    "nameserver 192.0.2.53",
    "search example.com",
    "",
  ]);
});

test("an address from DHCP is asked for again, and so are its routes", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10", true)] })], {
      routes: [{ destination: "default", gateway: "192.0.2.1", device: "eth0" }],
    }),
  );
  expect(plan?.ports).toMatchObject([{ dhcp: true, addresses: [], routes: [] }]);
});

test("of two default routes, each keeps its metric", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] })], {
      routes: [
        { destination: "default", gateway: "192.0.2.1", device: "eth0", metric: 100 },
        { destination: "default", gateway: "192.0.2.2", device: "eth0", metric: 200 },
      ],
    }),
  );
  expect(plan?.ports[0]?.routes).toEqual([
    { to: "default", via: "192.0.2.1", metric: 100 },
    { to: "default", via: "192.0.2.2", metric: 200 },
  ]);
});

test("a route to one host, which is printed without a prefix length, gets one", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] })], {
      routes: [
        { destination: "198.51.100.7", gateway: "192.0.2.1", device: "eth0" },
        { destination: "2001:db8::7", gateway: "fe80::1", device: "eth0" },
      ],
    }),
  );
  expect(plan?.ports[0]?.routes).toEqual([
    { to: "198.51.100.7/32", via: "192.0.2.1" },
    { to: "2001:db8::7/128", via: "fe80::1" },
  ]);
});

test("of the resolver's settings, only those are kept that mean the same in the boot environment", () => {
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
    network(
      [
        ethernet("eth0"),
        ethernet("br0", { kind: "bridge", bridge: { members: ["eth0"] }, addresses: [ipv4("192.0.2.10")] }),
      ],
      { routes: [{ destination: "default", gateway: "192.0.2.1", device: "br0" }] },
    ),
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
    bonds: [{ name: "bond0", mode: "802.3ad", ports: ["eth0", "eth1"] }],
    vlans: [{ name: "bond0.7", link: "bond0", id: 7, addresses: ["192.0.2.10/24"] }],
  });
});

test("ports that carry nothing are not in the plan, so that nobody waits for them", () => {
  const plan = networkPlanOf(
    network([ethernet("eth0", { addresses: [ipv4("192.0.2.10")] }), ethernet("eth1")]),
  );
  expect(plan?.ports.map(({ name }) => name)).toEqual(["eth0"]);
});

test("a machine without an address on an Ethernet port gets no plan, so that the boot environment tries what it finds", () => {
  expect(networkPlanOf(network([]))).toBeUndefined();
  expect(networkPlanOf(network([ethernet("eth0")]))).toBeUndefined();
});
