import { expect, test } from "vitest";
import { CLOUD, CLOUD6, carried, interfaces, leased, MTU, PORT } from "./testing/carried.ts";

// keepalived#972, #1603, resource-agents#1163; rear#951, #960.
test("an address of a cluster beside the machine's own is left out", async () => {
  const { plan, lost } = await carried({
    setup: `address add 192.0.2.10/24 dev eth0
      address add 192.0.2.100/32 dev eth0
      address add 192.0.2.101/24 dev eth0
      route add default via 192.0.2.1`,
    files: interfaces("192.0.2.10"),
  });
  expect(plan).toEqual([
    ...[PORT, MTU, "address eth0 192.0.2.10/24", "route eth0 4 default via 192.0.2.1 onlink"],
  ]);
  expect(lost).toEqual([]);
});

const vip = `address add 192.0.2.10/24 dev eth0
  address add 192.0.2.100/32 dev eth0
  route add default via 192.0.2.1 src 192.0.2.100`;
const PROCESS = { "/proc/700/comm": "keepalived\n", "/proc/700/cmdline": "/usr/sbin/keepalived\0" };

test.each<[string, Record<string, string>]>([
  [
    "keepalived",
    {
      "/etc/keepalived/keepalived.conf":
        "vrrp_instance a {\n unicast_src_ip 192.0.2.10\n virtual_ipaddress {\n  192.0.2.100/32 dev eth0\n }\n}",
    },
  ],
  [
    "Pacemaker",
    {
      "/var/lib/pacemaker/cib/cib.xml":
        '<primitive type="IPaddr2"><nvpair id="a" name="ip" value="192.0.2.100"/></primitive>',
    },
  ],
  [
    "kube-vip",
    {
      "/etc/kubernetes/manifests/kube-vip.yaml":
        '    - name: address\n      value: "192.0.2.100"\n    - name: port\n      value: "6443"\n',
    },
  ],
  ["Heartbeat", { "/etc/ha.d/haresources": "node1 IPaddr::192.0.2.100/24/eth0 apache\n" }],
  ["CTDB", { "/etc/ctdb/public_addresses": "192.0.2.100/32 eth0\n" }],
  ["vip-manager", { "/etc/default/vip-manager.yml": "ip: 192.0.2.100\nnetmask: 32\n" }],
  ["ucarp", { "/etc/network/interfaces": "iface eth0 inet static\n  ucarp-vip 192.0.2.100\n" }],
])("a control plane that is reached from an address of %s is refused", async (_, files) => {
  const { plan, lost } = await carried({ setup: vip, files: { ...files } });
  expect(lost).toMatchObject([{ kind: "cluster", message: expect.stringContaining("192.0.2.100") }]);
  expect(plan).toEqual([]);
});

test("a source address that no configuration contains is doubtful beside a cluster's program, or as a second address", async () => {
  const lone = "address add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1";
  const { lost } = await carried({ setup: lone, files: PROCESS });
  expect(lost).toMatchObject([{ kind: "doubtful" }]);
  expect((await carried({ setup: vip })).lost).toMatchObject([{ kind: "doubtful" }]);
  expect((await carried({ setup: lone })).lost).toEqual([]);
  const named = { ...PROCESS, ...interfaces("192.0.2.10") };
  expect((await carried({ setup: lone, files: named })).lost).toEqual([]);
});

// nixos-images#230, at providers that give routers link-local addresses only.
test("an IPv6 router for IPv4 is carried", async () => {
  const { plan } = await carried({
    setup: "address add 192.0.2.10/32 dev eth0\n-4 route add default via inet6 fe80::1 dev eth0 onlink",
    files: interfaces("192.0.2.10"),
  });
  expect(plan).toContain("route eth0 4 default via inet6 fe80::1 onlink");
});

// systemd#12541.
test("of equal-cost routers the one that the kernel chose is carried", async () => {
  const { plan, network } = await carried({
    setup: `address add 192.0.2.10/24 dev eth0
      route add default nexthop via 192.0.2.1 dev eth0 nexthop via 192.0.2.2 dev eth0`,
    files: interfaces("192.0.2.10"),
  });
  const chosen = network.reach?.paths[0]?.gateway;
  expect(["192.0.2.1", "192.0.2.2"]).toContain(chosen);
  expect(plan).toContain(`route eth0 4 default via ${chosen} onlink`);
});

// cloud-init#3298, systemd#7200.
test("a default route that only a policy's table has is carried", async () => {
  const { plan } = await carried({
    setup: `address add 192.0.2.10/24 dev eth0
      route add default via 192.0.2.1 table 100
      rule add from all lookup 100 priority 100`,
    files: interfaces("192.0.2.10"),
  });
  expect(plan).toContain("route eth0 4 default via 192.0.2.1 onlink");
});

test("if the policy's default differs from the main table's, the one in use is carried", async () => {
  const { plan } = await carried({
    setup: `address add 192.0.2.10/24 dev eth0
      route add default via 192.0.2.2
      route add default via 192.0.2.1 table 100
      rule add to ${CLOUD} lookup 100 priority 100`,
    files: interfaces("192.0.2.10"),
  });
  expect(plan.filter((line) => line.startsWith("route"))).toEqual([
    "route eth0 4 default via 192.0.2.1 onlink",
  ]);
});

test("two hosts behind different routers of different tables each keep theirs", async () => {
  const other = "203.0.113.9";
  const { plan } = await carried(
    {
      setup: `address add 192.0.2.10/24 dev eth0
        route add default via 192.0.2.1
        route add default via 192.0.2.2 table 100
        rule add to ${other} lookup 100 priority 100`,
      files: interfaces("192.0.2.10"),
    },
    { hosts: [CLOUD, other] },
  );
  expect(plan.filter((line) => line.startsWith("route"))).toEqual([
    "route eth0 4 default via 192.0.2.1 onlink",
    `route eth0 4 ${other}/32 via 192.0.2.2 onlink`,
  ]);
});

// netplan `routes:`.
test("a port with a lease keeps its static routes, and asks with its own identity", async () => {
  const { plan } = await carried(
    {
      setup: `${leased("192.0.2.10/24")}
        route add default via 192.0.2.1 proto dhcp
        route add 10.0.0.0/8 via 192.0.2.2 proto static`,
      files: { "/run/systemd/netif/leases/3": "ADDRESS=192.0.2.10\nCLIENTID=ffb6220feb00020000ab11\n" },
    },
    { hosts: [CLOUD, "10.1.2.3"] },
  );
  expect(plan).toEqual([
    ...[PORT, MTU, "route eth0 4 10.0.0.0/8 via 192.0.2.2 onlink", "dhcp eth0 routes ffb6220feb00020000ab11"],
  ]);
});

// UseRoutes=no, never-default.
test("of two ports with leases only the one in use is in the plan", async () => {
  const { plan } = await carried({
    ports: { eth0: "52:54:00:00:00:01", eth1: "52:54:00:00:00:02" },
    setup: `${leased("192.0.2.10/24")}
      address add 203.0.113.5/24 dev eth1 valid_lft 3600 preferred_lft 3600
      route add default via 192.0.2.1 proto dhcp`,
  });
  expect(plan.filter((line) => !line.startsWith("mtu"))).toEqual([PORT, "dhcp eth0 routes own-id"]);
});

test("a lease whose routes are not used adds no routes", async () => {
  const { plan } = await carried({
    setup: `${leased("192.0.2.10/24")}\nroute add default via 192.0.2.3 proto static`,
  });
  expect(plan).toEqual([
    ...[PORT, MTU, "route eth0 4 default via 192.0.2.3 onlink", "dhcp eth0 no-routes own-id"],
  ]);
});

// coreos/bugs#1828, dracut#998.
test("a machine whose only addresses are DHCP's for IPv6 is refused; one with IPv4, too, is not", async () => {
  const six = `address add 2001:db8::10/128 dev eth0 valid_lft 3600 preferred_lft 3600
    route add default via fe80::1 dev eth0`;
  expect((await carried({ setup: six }, { hosts: [CLOUD6] })).lost).toMatchObject([
    { kind: "way", message: expect.stringContaining("DHCPv6") },
  ]);
  const both = await carried(
    {
      setup: `${six}\naddress add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1`,
      files: interfaces("192.0.2.10"),
      commands: { "getent ahosts cloud.example": `${CLOUD6} STREAM cloud.example\n${CLOUD} STREAM\n` },
    },
    { hosts: ["cloud.example"], also: [CLOUD, CLOUD6] },
  );
  expect(both.lost).toEqual([]);
  expect(both.plan).toContain("address eth0 192.0.2.10/24");
});

test("an address from a router advertisement appears by itself, so the plan only brings up the port", async () => {
  const { plan, lost } = await carried(
    {
      setup: `address add 2001:db8::abcd/64 dev eth0 valid_lft 3600 preferred_lft 3600
        route add default via fe80::1 dev eth0 proto ra`,
    },
    { hosts: [CLOUD6] },
  );
  expect({ plan, lost }).toEqual({ plan: [PORT, MTU], lost: [] });
});

test("a static IPv6 address comes with its router", async () => {
  const { plan } = await carried(
    {
      setup: "address add 2001:db8::10/64 dev eth0\nroute add default via fe80::1 dev eth0",
      files: { "/etc/netplan/a.yaml": "addresses: [ '2001:0DB8::0010/64' ]" },
    },
    { hosts: [CLOUD6] },
  );
  expect(plan).toContain("address eth0 2001:db8::10/64");
  expect(plan).toContain("route eth0 6 default via fe80::1 onlink");
});

test("a /32 with a router on the link, and a point-to-point link, are carried", async () => {
  const onLink = await carried({
    setup:
      "address add 192.0.2.10/32 dev eth0\nroute add 203.0.113.1 dev eth0\nroute add default via 203.0.113.1",
    files: interfaces("192.0.2.10"),
  });
  expect(onLink.plan).toContain("route eth0 4 default via 203.0.113.1 onlink");
  const peer = await carried({
    setup: `address add 192.0.2.10 peer ${CLOUD} dev eth0`,
    files: interfaces("192.0.2.10"),
  });
  expect(peer.plan).toContain(`route eth0 4 ${CLOUD}/32`);
});

test("a control plane on the link needs no route", async () => {
  const { plan, lost } = await carried({
    setup: "address add 198.51.100.10/24 dev eth0",
    files: interfaces("198.51.100.10"),
  });
  expect({ plan, lost }).toEqual({ plan: [PORT, MTU, "address eth0 198.51.100.10/24"], lost: [] });
});

test("a source address on the loopback interface, as routers have, is refused", async () => {
  const { lost } = await carried({
    setup: `address add 203.0.113.77/32 dev lo
      address add 192.0.2.10/31 dev eth0
      route add default via 192.0.2.11 src 203.0.113.77`,
  });
  expect(lost).toMatchObject([{ message: expect.stringContaining("not an address of eth0") }]);
});

test("a bridge's address goes to its port, with the bridge's hardware address", async () => {
  const { plan } = await carried({
    setup: `link add br0 address 52:54:00:00:00:99 type bridge
      link set eth0 master br0
      link set br0 up
      address add 192.0.2.10/24 dev br0
      route add default via 192.0.2.1`,
    files: interfaces("192.0.2.10"),
  });
  expect(plan).toEqual([
    ...[PORT, "mac eth0 52:54:00:00:00:99", MTU, "address eth0 192.0.2.10/24"],
    "route eth0 4 default via 192.0.2.1 onlink",
  ]);
});

test("a hardware address that was set by hand is also set in the boot environment", async () => {
  const { plan } = await carried({
    setup: `${leased("192.0.2.10/24")}\nroute add default via 192.0.2.1 proto dhcp`,
    change: (links) => {
      for (const link of links)
        if (link.ifname === "eth0")
          Object.assign(link, { address: "02:00:00:00:00:05", permaddr: "52:54:00:00:00:01" });
    },
  });
  expect(plan.slice(0, 2)).toEqual([PORT, "mac eth0 02:00:00:00:00:05"]);
});

// cloud-init#3450.
test("of the two halves of a fast virtual port the one with the address is used; of two unrelated ports none", async () => {
  const same = { eth0: "52:54:00:00:00:01", a0: "52:54:00:00:00:01" };
  const lab = {
    ports: same,
    setup: "address add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1",
    files: interfaces("192.0.2.10"),
  };
  const halves = await carried({
    ...lab,
    change: (links) => {
      for (const link of links) if (link.ifname === "a0") link.master = "eth0";
    },
  });
  expect(halves.plan[0]).toBe(PORT);
  expect((await carried(lab)).lost).toMatchObject([{ message: expect.stringContaining("cannot be set up") }]);
});

test("a port that belongs to a VRF, a team or an Open vSwitch switch is not used on its own", async () => {
  const { lost } = await carried({
    setup: "address add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1",
    files: interfaces("192.0.2.10"),
    change: (links) => {
      for (const link of links) if (link.ifname === "eth0") link.master = "blue";
    },
  });
  expect(lost).toMatchObject([{ message: expect.stringContaining("which belongs to blue") }]);
});

test.each([
  ...[
    "wireguard",
    "macsec",
    "team",
    "openvswitch",
    "macvlan",
    "ipvlan",
    "dummy",
    "tun",
    "ppp",
    "vxlan",
    "vrf",
  ],
])("a control plane behind a link of the kind %s is refused", async (kind) => {
  const { lost, plan } = await carried({
    ports: { eth0: "52:54:00:00:00:01", up0: "52:54:00:00:00:02" },
    setup: `address add 192.0.2.10/24 dev eth0
      address add 10.9.0.2/24 dev up0
      route add default via 10.9.0.1 dev up0`,
    change: (links) => {
      for (const link of links) if (link.ifname === "up0") link.linkinfo = { info_kind: kind };
    },
  });
  expect(lost).toMatchObject([{ kind: "way", message: expect.stringContaining("over up0") }]);
  expect(plan).toEqual([]);
});

test("a control plane on the machine itself, and one without a route, are refused", async () => {
  const local = await carried({ setup: "address add 192.0.2.10/24 dev eth0" }, { hosts: ["127.0.0.1"] });
  expect(local.lost).toMatchObject([{ message: expect.stringContaining("over lo") }]);
  expect((await carried({ setup: "address add 192.0.2.10/24 dev eth0" })).unreached).toEqual([
    `${CLOUD} (${CLOUD}): there is no route to it`,
  ]);
});
