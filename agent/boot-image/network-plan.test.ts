import { expect, test } from "vitest";
import { formatNetworkPlan } from "./network-plan.ts";

const PORT = { name: "eno1", macAddress: "52:54:00:12:34:56" };

test("a bond with a VLAN and static addresses is written in the order in which it is created", () => {
  const plan = formatNetworkPlan({
    ports: [PORT, { name: "eno2", macAddress: "52:54:00:12:34:57" }],
    bonds: [{ name: "bond0", mode: "802.3ad", ports: ["eno1", "eno2"], mtuBytes: 9000 }],
    vlans: [
      {
        name: "bond0.100",
        link: "bond0",
        id: 100,
        addresses: ["192.0.2.10/24", "2001:db8::10/64"],
        routes: [
          { to: "default", via: "192.0.2.1" },
          { to: "default", via: "192.0.2.2", metric: 200 },
        ],
      },
    ],
    nameservers: ["192.0.2.53"],
    searchDomains: ["example.org", "example.com"],
  });
  expect(plan.trimEnd().split("\n")).toEqual([
    "port eno1 52:54:00:12:34:56",
    "port eno2 52:54:00:12:34:57",
    "bond bond0 802.3ad 100 eno1,eno2",
    "mtu bond0 9000",
    "vlan bond0.100 bond0 100",
    "address bond0.100 192.0.2.10/24",
    "address bond0.100 2001:db8::10/64",
    "route bond0.100 4 default via 192.0.2.1 onlink",
    "route bond0.100 4 default via 192.0.2.2 onlink metric 200",
    "nameserver 192.0.2.53",
    "search example.org example.com",
  ]);
});

test.each(["eth0\nport", "eth0 x", "-rf", "../x", "$(reboot)", ""])("no port can be called %j", (name) => {
  expect(() => formatNetworkPlan({ ports: [{ ...PORT, name }] })).toThrow();
});
