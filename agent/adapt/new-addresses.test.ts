import { expect, test } from "vitest";
import { planAdaptation } from "./plan.ts";
import { aSystem, aWantedMachine } from "./testing/a-system.ts";
import { CARD, movedTo, readdressed } from "./testing/new-addresses.ts";

const INTERFACES = "/etc/network/interfaces";
const NETPLAN = "/etc/netplan/50-cloud-init.yaml";
const KEYFILE = "/etc/NetworkManager/system-connections/ens192.nmconnection";
const NETWORK = "/etc/systemd/network/20-wired.network";

const ELSEWHERE = {
  ...{ address: "198.51.100.20", prefixLength: 25, gateway: "198.51.100.1", nameServers: ["198.51.100.53"] },
};
const V6 = {
  ...{ address: "2001:db8:1::20", prefixLength: 64, gateway: "2001:db8:1::1" },
  instead: { address: "2001:db8::10", prefixLength: 64 },
};
const ON_LINK = { ...ELSEWHERE, address: "203.0.113.20", prefixLength: 32, gatewayOnLink: true as const };

interface Case {
  title: string;
  path: string;
  before: string;
  to: Parameters<typeof movedTo>;
  after: string;
}

const CASES: Case[] = [
  {
    title: "ifupdown: a bridge as an OpenStack guide has it, with a netmask and the addresses of its network",
    path: INTERFACES,
    before:
      "auto ens192\niface ens192 inet static\n        address 192.0.2.10\n        netmask 255.255.255.0\n        network 192.0.2.0\n        broadcast 192.0.2.255\n        gateway 192.0.2.1\n        # dns-* options are implemented by the resolvconf package, if installed\n        dns-nameservers 172.16.0.16\n        dns-search mtv.example.org\n        bridge_ports eth0\n",
    to: [ELSEWHERE],
    after:
      "auto ens192\niface ens192 inet static\n        address 198.51.100.20\n        netmask 255.255.255.128\n        gateway 198.51.100.1\n        # dns-* options are implemented by the resolvconf package, if installed\n        dns-nameservers 198.51.100.53\n        dns-search mtv.example.org\n        bridge_ports eth0\n",
  },
  {
    title: "ifupdown: DHCP, as Debian's installer writes it",
    path: INTERFACES,
    before:
      "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\nallow-hotplug ens192\niface ens192 inet dhcp\n# This is an autoconfigured IPv6 interface\niface ens192 inet6 auto\n",
    to: [{ nameServers: ["192.0.2.53"] }],
    after:
      "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\nallow-hotplug ens192\niface ens192 inet static\n    address 192.0.2.20/24\n    gateway 192.0.2.1\n    dns-nameservers 192.0.2.53\n# This is an autoconfigured IPv6 interface\niface ens192 inet6 auto\n",
  },
  {
    title: "ifupdown: both families, the second with a gateway on the link",
    path: INTERFACES,
    before:
      "auto ens192\niface ens192 inet static\n  address 192.0.2.10/24\n  gateway 192.0.2.1\niface ens192 inet6 static\n  address 2001:db8::10\n  netmask 64\n  gateway fe80::1\n",
    to: [ON_LINK, { ...V6, gateway: "fe80::1" }],
    after:
      "auto ens192\niface ens192 inet static\n  up ip route replace default via 198.51.100.1 dev ens192 onlink\n  dns-nameservers 198.51.100.53\n  address 203.0.113.20/32\niface ens192 inet6 static\n  address 2001:db8:1::20\n  netmask 64\n  gateway fe80::1\n",
  },
  {
    title: "ifupdown: a first IPv6 address",
    path: INTERFACES,
    before:
      "auto ens192\niface ens192 inet static\n\taddress 192.0.2.10/24\n\nauto eth1\niface eth1 inet dhcp\n",
    to: [{ ...V6, instead: undefined }],
    after:
      "auto ens192\niface ens192 inet static\n\taddress 192.0.2.10/24\n\niface ens192 inet6 static\n    address 2001:db8:1::20/64\n    gateway 2001:db8:1::1\n\nauto eth1\niface eth1 inet dhcp\n",
  },
  {
    title: "netplan: as subiquity writes it, with gateway4",
    path: NETPLAN,
    before:
      "# This is the network config written by 'subiquity'\nnetwork:\n  ethernets:\n    ens192:\n      addresses:\n      - 192.0.2.10/24\n      gateway4: 192.0.2.1\n      nameservers:\n        addresses:\n        - 192.0.2.2\n        - 192.0.2.3\n        search:\n        - localdomain.example\n  version: 2\n",
    to: [ELSEWHERE],
    after:
      "# This is the network config written by 'subiquity'\nnetwork:\n  ethernets:\n    ens192:\n      addresses:\n      - 198.51.100.20/25\n      gateway4: 198.51.100.1\n      nameservers:\n        addresses:\n          - 198.51.100.53\n        search:\n          - localdomain.example\n  version: 2\n",
  },
  {
    title: "netplan: DHCP for a card by its hardware address, as cloud-init writes it",
    path: NETPLAN,
    before: `network:\n    ethernets:\n        lan:\n            dhcp4: true\n            dhcp6: true\n            match:\n                macaddress: '${CARD}'\n            set-name: ens192\n        eth1:\n            dhcp4: true\n    version: 2\n`,
    to: [{ nameServers: ["192.0.2.53"] }],
    after: `network:\n    ethernets:\n        lan:\n            dhcp4: false\n            dhcp6: true\n            match:\n                macaddress: '${CARD}'\n            set-name: ens192\n            addresses:\n              - 192.0.2.20/24\n            routes:\n              - to: 0.0.0.0/0\n                via: 192.0.2.1\n            nameservers:\n              addresses:\n                - 192.0.2.53\n        eth1:\n            dhcp4: true\n    version: 2\n`,
  },
  {
    title: "netplan: lists in brackets, a route to `default`, and a second address that stays",
    path: NETPLAN,
    before:
      'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    ens192:\n      addresses: [192.0.2.10/24, "2001:db8::10/64"]  # ours\n      routes:\n        - to: default\n          via: 192.0.2.1\n        - to: 10.0.0.0/8\n          via: 192.0.2.254\n',
    to: [{ ...ELSEWHERE, nameServers: [] }, V6],
    after:
      "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    ens192:\n      addresses: [198.51.100.20/25, \"2001:db8:1::20/64\"]  # ours\n      routes:\n        - to: default\n          via: 198.51.100.1\n        - to: 10.0.0.0/8\n          via: 192.0.2.254\n        - to: '::/0'\n          via: '2001:db8:1::1'\n",
  },
  {
    title: "netplan: a routed machine whose gateway is on the link",
    path: NETPLAN,
    before:
      "network:\n  version: 2\n  ethernets:\n    ens192:\n      routes:\n      - to: default\n        via: 169.254.0.1\n        on-link: true\n      addresses:\n      - 192.0.2.10/32\n",
    to: [ON_LINK],
    after:
      "network:\n  version: 2\n  ethernets:\n    ens192:\n      routes:\n      - to: default\n        via: 198.51.100.1\n        on-link: true\n      addresses:\n      - 203.0.113.20/32\n      nameservers:\n        addresses:\n          - 198.51.100.53\n",
  },
  {
    title: "netplan: an interface in brackets",
    path: NETPLAN,
    before: "network:\n  version: 2\n  ethernets:\n    ens192: {dhcp4: yes, optional: true}\n",
    to: [{}],
    after:
      "network:\n  version: 2\n  ethernets:\n    ens192:\n      dhcp4: false\n      optional: true\n      addresses:\n        - 192.0.2.20/24\n      routes:\n        - to: 0.0.0.0/0\n          via: 192.0.2.1\n",
  },
  {
    title: "NetworkManager: several addresses and a gateway of its own, as Fedora CoreOS documents it",
    path: KEYFILE,
    before:
      "[connection]\ntype=ethernet\ninterface-name=ens192\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.10/24\naddress2=192.0.2.50/24\naddress3=192.0.2.51/24\ngateway=192.0.2.1\ndns=1.1.1.1;8.8.8.8\n",
    to: [{ gateway: "192.0.2.254", nameServers: ["192.0.2.53", "9.9.9.9"] }],
    after:
      "[connection]\ntype=ethernet\ninterface-name=ens192\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.20/24\naddress2=192.0.2.50/24\naddress3=192.0.2.51/24\ngateway=192.0.2.254\ndns=192.0.2.53;9.9.9.9;\n",
  },
  {
    title: "NetworkManager: an old profile for any card, with the old notation",
    path: "/etc/NetworkManager/system-connections/ethernet",
    before:
      "#ethernet connection\n[connection]\nid=ethernet\nuuid=\ntype=802-3-ethernet\nautoconnect=true\n[802-3-ethernet]\n[ipv4]\nmethod=manual\ndns=192.0.2.1;\naddresses1=192.0.2.10;24;192.0.2.1\n[ipv6]\n",
    to: [{ ...ELSEWHERE, nameServers: [] }, V6],
    after:
      "#ethernet connection\n[connection]\nid=ethernet\nuuid=\ntype=802-3-ethernet\nautoconnect=true\n[802-3-ethernet]\n[ipv4]\nmethod=manual\ndns=192.0.2.1;\naddresses1=198.51.100.20/25,198.51.100.1\n[ipv6]\naddress1=2001:db8:1::20/64,2001:db8:1::1\nmethod=manual\n",
  },
  {
    title: "NetworkManager: DHCP by hardware address, as nmcli writes it",
    path: KEYFILE,
    before: `[connection]\nid=Wired connection 1\nuuid=1c7d37e3-4f31-374f-a195-f5c619370138\ntype=ethernet\n\n[ethernet]\nmac-address=${CARD.toUpperCase()}\n\n[ipv4]\nmay-fail=false\nmethod=auto\n\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\n\n[proxy]\n`,
    to: [{ nameServers: ["192.0.2.53", "2001:db8::53"] }],
    after: `[connection]\nid=Wired connection 1\nuuid=1c7d37e3-4f31-374f-a195-f5c619370138\ntype=ethernet\n\n[ethernet]\nmac-address=${CARD.toUpperCase()}\n\n[ipv4]\nmay-fail=false\nmethod=manual\naddress1=192.0.2.20/24,192.0.2.1\ndns=192.0.2.53;\n\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\ndns=2001:db8::53;\n\n[proxy]\n`,
  },
  {
    title: "systemd-networkd: static, with a route that only goes through the old network",
    path: NETWORK,
    before:
      "[Match]\nName=ens192\n\n[Network]\nDHCP=no\nAddress=192.0.2.10/32\nDNS=192.0.2.53\n\n[Route]\nGateway=192.0.2.1\nGatewayOnlink=no\n\n[Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.254\n",
    to: [ON_LINK],
    after:
      "[Match]\nName=ens192\n\n[Network]\nDHCP=no\nAddress=203.0.113.20/32\nDNS=198.51.100.53\n\n[Route]\nGateway=198.51.100.1\nGatewayOnlink=yes\n\n[Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.254\n",
  },
  {
    title: "systemd-networkd: as cloud-init renders it, with sections for addresses",
    path: "/etc/systemd/network/10-cloud-init-ens192.network",
    before: `[Address]\nAddress=192.0.2.10/24\n\n[Address]\nAddress=2001:db8::10/128\n\n[Match]\nMACAddress=${CARD}\nName=ens192\n\n[Network]\nDHCP=no\nDNS=1.1.1.1 8.8.8.8\n\n[Route]\nGateway=192.0.2.1\n\n[Route]\nGateway=2001:db8::1\n`,
    to: [{ ...ELSEWHERE, nameServers: [] }, V6],
    after: `[Address]\nAddress=198.51.100.20/25\n\n[Address]\nAddress=2001:db8:1::20/64\n\n[Match]\nMACAddress=${CARD}\nName=ens192\n\n[Network]\nDHCP=no\nDNS=1.1.1.1 8.8.8.8\n\n[Route]\nGateway=198.51.100.1\n\n[Route]\nGateway=2001:db8:1::1\n`,
  },
  {
    title: "systemd-networkd: DHCP for both families, one of which gets an address",
    path: NETWORK,
    before: "[Match]\nName=ens192\n\n[Network]\nDHCP=yes\n",
    to: [{ nameServers: ["192.0.2.53"] }],
    after:
      "[Match]\nName=ens192\n\n[Network]\nDHCP=ipv6\nAddress=192.0.2.20/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n",
  },
];

test.each(CASES)("$title", ({ path, before, to, after }) => {
  const wanted = movedTo(...to);
  const { files } = readdressed({ [path]: before }, wanted);
  expect(files).toEqual({ [path]: after });
  // An adapted system needs no other change.
  expect(readdressed({ [path]: after }, wanted).files).toEqual({});
});

test("a file for several interfaces stays, and the interface gets one of its own that comes first", () => {
  const path = "/etc/systemd/network/80-dhcp.network";
  const own = "/etc/systemd/network/00-causeway-ens192.network";
  const { files } = readdressed({ [path]: "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n" }, movedTo({}));
  expect(files).toEqual({
    [own]: "[Match]\nName=ens192\n\n[Network]\nDHCP=ipv6\nAddress=192.0.2.20/24\nGateway=192.0.2.1\n",
  });
});

test("a file that ifupdown does not include is not its configuration, and one that it includes is", () => {
  const path = `${INTERFACES}.d/50-cloud-init`;
  const own = "iface ens192 inet static\n\taddress 192.0.2.10/24\n";
  const main = (text: string) => readdressed({ [INTERFACES]: text, [path]: own }, movedTo({})).files;
  for (const source of ["source /etc/network/interfaces.d/*", "source-directory interfaces.d"])
    expect(main(`${source}\nsource-directory /run/network/interfaces.d\n`)).toHaveProperty([path]);
  for (const other of ["", "source interfaces.d/*.cfg\n"])
    expect(() => main(other)).toThrow("ens192 is configured by no file");
});

test("two interfaces of one file each have their reason, and a file that stays has none", () => {
  const files = {
    [INTERFACES]: "iface ens192 inet dhcp\niface br0 inet dhcp\nsource interfaces.d/*\n",
    [`${INTERFACES}.d/lo`]: "iface lo inet loopback\n",
  };
  const { changes } = planAdaptation(
    aSystem({ files }),
    aWantedMachine(movedTo({}, { interface: "br0", address: "198.51.100.20", gateway: undefined })),
  );
  const found = changes.find(({ path }) => path === INTERFACES);
  expect(found?.why).toEqual(["ens192 has 192.0.2.20/24 by 192.0.2.1 here; br0 has 198.51.100.20/24 here"]);
  expect(changes.map(({ path }) => path)).not.toContain(`${INTERFACES}.d/lo`);
});

test("an interface that two programs configure gets the address in both", () => {
  const { files } = readdressed(
    {
      [INTERFACES]: "iface ens192 inet dhcp\n",
      [KEYFILE]: "[connection]\ntype=ethernet\ninterface-name=ens192\n[ipv4]\nmethod=auto\n",
    },
    movedTo({}),
  );
  expect(Object.keys(files)).toEqual([KEYFILE, INTERFACES]);
});

test("a bond gets an address by its own name", () => {
  const before =
    "network:\n  version: 2\n  ethernets:\n    ens192: {}\n    ens224: {}\n  bonds:\n    bond0:\n      interfaces: [ens192, ens224]\n      addresses: [192.0.2.10/24]\n";
  const { files } = readdressed({ [NETPLAN]: before }, movedTo({ interface: "bond0", gateway: undefined }));
  expect(files).toEqual({ [NETPLAN]: before.replace("192.0.2.10/24", "192.0.2.20/24") });
});

test.each<[string, Record<string, string>, Parameters<typeof movedTo>, string]>([
  [
    "no file configures it",
    { [INTERFACES]: "iface eth1 inet dhcp\n" },
    [{}],
    "ens192 is configured by no file",
  ],
  [
    "a command sets the old address",
    { [INTERFACES]: "iface ens192 inet manual\n  up ip addr add 192.0.2.10/24 dev ens192\n" },
    [{}],
    "a command of ens192 names 192.0.2.10",
  ],
  [
    "commands make the routes of a policy, as a switch has them",
    {
      [INTERFACES]:
        "auto ens192\niface ens192 inet static\n    address 192.0.2.9\n    netmask 255.255.254.0\n    up ip route add default via 192.0.2.1 dev ens192 table 1\n    up ip rule add from 192.0.2.9/32 table 1\n",
    },
    [ELSEWHERE],
    "makes its default route",
  ],
  [
    "a file outside the known folder may configure it again",
    { [INTERFACES]: "source /etc/network/local.d/*\niface ens192 inet dhcp\n" },
    [{}],
    "/etc/network/local.d/*",
  ],
  [
    "options are inherited from another stanza",
    { [INTERFACES]: "iface ens192 inet static inherits lan\n" },
    [{}],
    "not understood",
  ],
  [
    "it has several addresses, and none is the known one",
    { [NETPLAN]: "network:\n  ethernets:\n    ens192:\n      addresses: [192.0.2.11/24, 192.0.2.12/24]\n" },
    [{}],
    "192.0.2.11, 192.0.2.12",
  ],
  [
    "its gateway would be out of reach",
    {
      [KEYFILE]:
        "[connection]\ninterface-name=ens192\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\nmethod=manual\n",
    },
    [{ ...ELSEWHERE, gateway: undefined }],
    "name its new gateway",
  ],
  [
    "YAML that is more than plain",
    { [NETPLAN]: "network:\n  ethernets:\n    ens192: &base\n      dhcp4: true\n" },
    [{}],
    "line 3",
  ],
  [
    "two files of netplan, which it joins",
    {
      [NETPLAN]: "network:\n  ethernets:\n    ens192:\n      addresses: [192.0.2.10/24]\n",
      "/etc/netplan/90-more.yaml": "network:\n  ethernets:\n    ens192:\n      mtu: 9000\n",
    },
    [{}],
    "several places",
  ],
  [
    "a drop-in of systemd-networkd sets addresses",
    {
      [NETWORK]: "[Match]\nName=ens192\n[Network]\nDHCP=yes\n",
      [`${NETWORK}.d/more.conf`]: "[Network]\nAddress=192.0.2.11/24\n",
    },
    [{}],
    "more.conf",
  ],
  [
    "a file of systemd-networkd with other conditions comes first",
    { [NETWORK]: "[Match]\nName=ens192\nVirtualization=no\n[Network]\nDHCP=yes\n" },
    [{}],
    "it is unknown whether",
  ],
  [
    "two profiles for any card",
    {
      [KEYFILE]: "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n",
      "/etc/NetworkManager/system-connections/b": "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n",
    },
    [{}],
    "which of these",
  ],
  [
    "it is shared with others",
    { [KEYFILE]: "[connection]\ninterface-name=ens192\n[ipv4]\nmethod=shared\n" },
    [{}],
    "shared",
  ],
  [
    "NetworkManager learns no router any more",
    { [KEYFILE]: "[connection]\ninterface-name=ens192\n[ipv6]\nmethod=auto\n" },
    [{ ...V6, gateway: undefined }],
    "learns no IPv6 router",
  ],
  [
    "NetworkManager, by netplan, learns no router any more",
    { [NETPLAN]: "network:\n  renderer: NetworkManager\n  ethernets:\n    ens192: {dhcp6: true}\n" },
    [{ ...V6, gateway: undefined }],
    "learns no IPv6 router",
  ],
  [
    "dhcpcd",
    {
      [INTERFACES]: "iface ens192 inet manual\n",
      "/etc/dhcpcd.conf": "hostname\ninterface ens192\nstatic ip_address=192.0.2.10/24\n",
    },
    [{}],
    "/etc/dhcpcd.conf",
  ],
  [
    "network-scripts",
    { "/etc/sysconfig/network-scripts/ifcfg-ens192": "DEVICE=ens192\nBOOTPROTO=none\nIPADDR=192.0.2.10\n" },
    [{}],
    "ifcfg-ens192",
  ],
])("an address is not set, and the system not adapted, if %s", (_, files, to, why) => {
  expect(() => readdressed(files, movedTo(...to))).toThrow(why);
});

const STATIC = "iface ens192 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n";

test("the system's own name follows in /etc/hosts, and other lines are noted", () => {
  const hosts =
    "127.0.0.1 localhost\n192.0.2.10\tpine.example.org pine # us\n192.0.2.10 legacy\n192.0.2.7 oak\n";
  const { files, notes } = readdressed(
    { [INTERFACES]: STATIC, "/etc/hosts": hosts, "/etc/hostname": "pine\n" },
    movedTo({}),
  );
  expect(files["/etc/hosts"]).toBe(hosts.replace("192.0.2.10\t", "192.0.2.20\t"));
  expect(notes).toEqual([expect.stringMatching(/^\/etc\/hosts names 192\.0\.2\.10 \(line 3\)/)]);
});

test("what names addresses of a network that the machine leaves is noted, and stays", () => {
  const { files, notes } = readdressed(
    {
      [INTERFACES]: `${STATIC}\tup ip route add 10.0.0.0/8 via 192.0.2.254\n`,
      "/etc/ssh/sshd_config": "Port 22\n#ListenAddress 192.0.2.10\nListenAddress 192.0.2.10\n",
      "/etc/exports": "/srv 203.0.113.0/24(rw)\n",
    },
    movedTo({ ...ELSEWHERE, nameServers: [] }),
  );
  expect(Object.keys(files)).toEqual([INTERFACES]);
  expect(notes).toEqual([
    expect.stringMatching(/^\/etc\/network\/interfaces names 192\.0\.2\.254 \(line 4\)/),
    expect.stringMatching(/^\/etc\/ssh\/sshd_config names 192\.0\.2\.10 \(line 3\)/),
  ]);
});

test("what else DHCP gave is noted", () => {
  const leased = { instead: { address: "192.0.2.10", prefixLength: 24, isLeased: true as const } };
  const { notes } = readdressed({ [INTERFACES]: "iface ens192 inet dhcp\n" }, movedTo(leased));
  expect(notes).toEqual([expect.stringMatching(/^ens192 has 192\.0\.2\.20 without DHCP: routes/)]);
});

test("name servers of an interface of ifupdown are noted unless something takes them over", () => {
  const moved = movedTo({ nameServers: ["192.0.2.53"] });
  expect(readdressed({ [INTERFACES]: STATIC }, moved).notes).toEqual([
    expect.stringContaining("/etc/resolv.conf"),
  ]);
  expect(readdressed({ [INTERFACES]: STATIC }, moved, ["/usr/sbin/resolvconf"]).notes).toEqual([]);
  const netplan =
    "network:\n  ethernets:\n    ens192:\n      addresses: [192.0.2.10/24]\n      gateway4: 192.0.2.1\n";
  const other = "auto lo\niface lo inet loopback\n";
  expect(readdressed({ [INTERFACES]: other, [NETPLAN]: netplan }, moved).notes).toEqual([]);
});

test("a system that keeps its addresses is not looked at", () => {
  const files = { [NETPLAN]: "network: &broken\n", [INTERFACES]: STATIC };
  expect(readdressed(files, { cards: [] })).toEqual({ files: {}, notes: [] });
});
