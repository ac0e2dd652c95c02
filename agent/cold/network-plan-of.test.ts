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

test("a machine without an Ethernet port gets no plan, so that the boot environment tries what it finds", () => {
  expect(networkPlanOf(network([]))).toBeUndefined();
});
