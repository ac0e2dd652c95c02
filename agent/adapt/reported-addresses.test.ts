/** Configurations that users of other tools had trouble with, as their reports have them. */
import { describe, expect, test } from "vitest";
import { CARD, movedTo, readdressed } from "./testing/new-addresses.ts";

const INTERFACES = "/etc/network/interfaces";
const NETPLAN = "/etc/netplan/50-cloud-init.yaml";
const KEYFILES = "/etc/NetworkManager/system-connections";
const NETWORK = "/etc/systemd/network/25-wired.network";
const SCRIPTS = "/etc/sysconfig/network-scripts";

const LEASED = { instead: { address: "192.0.2.10", prefixLength: 24, isLeased: true as const } };
const V6 = {
  ...{ address: "2001:db8:1::20", prefixLength: 64, gateway: "2001:db8:1::1" },
  instead: { address: "2001:db8::10", prefixLength: 64 },
};

describe("a static address beside a leased one stays", () => {
  test.each<[string, string, string, string]>([
    [
      "systemd-networkd: https://github.com/systemd/systemd/issues/16157",
      NETWORK,
      "[Match]\nName=ens192\n\n[Network]\nDHCP=ipv4\nAddress=192.0.2.50/24\n",
      "[Match]\nName=ens192\n\n[Network]\nDHCP=no\nAddress=192.0.2.50/24\nAddress=192.0.2.20/24\nGateway=192.0.2.1\n",
    ],
    [
      "netplan: https://github.com/canonical/cloud-init/issues/2361",
      NETPLAN,
      "network:\n  version: 2\n  ethernets:\n    ens192:\n      dhcp4: true\n      addresses: [192.0.2.50/24]\n",
      "network:\n  version: 2\n  ethernets:\n    ens192:\n      dhcp4: false\n      addresses:\n        - 192.0.2.50/24\n        - 192.0.2.20/24\n      routes:\n        - to: 0.0.0.0/0\n          via: 192.0.2.1\n",
    ],
    [
      "NetworkManager: https://github.com/openfollowapp/openfollow/issues/51",
      `${KEYFILES}/lan`,
      "[connection]\ninterface-name=ens192\n[ipv4]\naddress1=192.0.2.50/24\nmethod=auto\n",
      "[connection]\ninterface-name=ens192\n[ipv4]\naddress1=192.0.2.50/24\nmethod=manual\naddress2=192.0.2.20/24\ngateway=192.0.2.1\n",
    ],
  ])("%s", (_, path, before, after) => {
    expect(readdressed({ [path]: before }, movedTo(LEASED)).files).toEqual({ [path]: after });
    expect(readdressed({ [path]: after }, movedTo(LEASED)).files).toEqual({});
  });
});

describe("a route from the address that makes way is from the new one, as the kernel would refuse it", () => {
  test.each<[string, string, string]>([
    [
      "systemd-networkd: https://github.com/systemd/systemd/issues/28009",
      NETWORK,
      "[Match]\nName=ens192\n\n[Address]\nAddress=192.0.2.10/24\n\n[Route]\nGateway=192.0.2.1\nPreferredSource=192.0.2.10\n",
    ],
    [
      "netplan: https://github.com/systemd/systemd/issues/31950",
      NETPLAN,
      "network:\n  ethernets:\n    ens192:\n      addresses: [192.0.2.10/24]\n      routes:\n        - to: default\n          via: 192.0.2.1\n          from: 192.0.2.10\n",
    ],
  ])("%s", (_, path, before) => {
    expect(readdressed({ [path]: before }, movedTo({})).files).toEqual({
      [path]: before.replaceAll("192.0.2.10", "192.0.2.20"),
    });
  });

  test("and NetworkManager's file is not changed", () => {
    const profile =
      "[connection]\ninterface-name=ens192\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\nroute1=10.0.0.0/8\nroute1_options=src=192.0.2.10\nmethod=manual\n";
    expect(() => readdressed({ [`${KEYFILES}/lan`]: profile }, movedTo({}))).toThrow("route1_options");
  });
});

const NM = "network:\n  version: 2\n  renderer: NetworkManager\n";
const V6_BY_ROUTER = "network:\n  version: 2\n  ethernets:\n    ens192:\n      dhcp6: true\n";
const OPEN = "[connection]\nid=Wired connection 1\ntype=ethernet\n";
const NAMED = "[connection]\nid=eth0-linklocal\ntype=ethernet\ninterface-name=ens192\n[ipv4]\nmethod=auto\n";

test.each<[string, Record<string, string>, Parameters<typeof movedTo>[0], string]>([
  [
    "an alias has the address that makes way: https://github.com/CumulusNetworks/ifupdown2/issues/189",
    {
      [INTERFACES]:
        "auto ens192\niface ens192 inet dhcp\n\nauto ens192:0\niface ens192:0 inet static\n    address 192.0.2.10\n    netmask 255.255.0.0\n",
    },
    {},
    "ens192:0 has 192.0.2.10",
  ],
  [
    "a stanza has several addresses: https://github.com/debops/ansible-ifupdown/issues/70",
    {
      [INTERFACES]:
        "iface ens192 inet static\n    address 192.0.2.10/24\n    address 192.0.2.50/24\n    gateway 192.0.2.1\n",
    },
    {},
    "not understood",
  ],
  [
    "a stanza has no family: https://github.com/CumulusNetworks/cumulus-linux-ansible-modules/pull/54",
    { [INTERFACES]: "auto ens192\niface ens192\n  address 192.0.2.10/24\n  address 2001:db8::10/64\n" },
    V6,
    "not understood",
  ],
  [
    "a stanza has an address of another family: https://github.com/CumulusNetworks/ifupdown2/issues/174",
    {
      [INTERFACES]: "auto ens192\niface ens192 inet dhcp\n\taddress 2001:db8::10\n\tnetmask 64\n",
    },
    V6,
    "not understood",
  ],
  [
    "DHCP and a static address are one interface: https://github.com/Oefenweb/ansible-network-interfaces/issues/14",
    { [INTERFACES]: "iface ens192 inet dhcp\n\niface ens192 inet static\n  address 192.0.2.50/24\n" },
    LEASED,
    "several ways",
  ],
  [
    "a drop-in is for netplan's own file: https://github.com/systemd/systemd/issues/30485",
    {
      [NETPLAN]: "network:\n  ethernets:\n    ens192: {dhcp4: true}\n",
      "/etc/systemd/network/10-netplan-ens192.network.d/address.conf": "[Network]\nAddress=192.0.2.50/24\n",
    },
    LEASED,
    "10-netplan-ens192.network, which is not read",
  ],
  [
    "a drop-in adds the address to a package's file: https://github.com/systemd/systemd/issues/3655",
    {
      [INTERFACES]: "iface ens192 inet manual\n",
      "/etc/systemd/network/80-lan.network.d/a.conf": "[Address]\nAddress=192.0.2.10/24\n",
    },
    {},
    "80-lan.network, which is not read",
  ],
  [
    "two drop-ins add addresses: https://github.com/systemd/systemd/issues/5141",
    {
      [NETWORK]: "[Match]\nName=ens192\n\n[Network]\nAddress=192.0.2.10/24\n",
      [`${NETWORK}.d/a.conf`]: "[Address]\nAddress=192.0.2.33/24\n\n[Address]\nAddress=192.0.2.37/24\n",
    },
    {},
    "a.conf changes the addresses",
  ],
  [
    "another file makes NetworkManager the renderer: https://github.com/canonical/netplan/pull/378",
    { "/usr/lib/netplan/00-network-manager-all.yaml": NM, [NETPLAN]: V6_BY_ROUTER },
    { ...V6, gateway: undefined },
    "learns no IPv6 router",
  ],
  [
    "a package's file configures it: https://github.com/canonical/netplan/pull/378",
    { "/usr/lib/netplan/50-lan.yaml": V6_BY_ROUTER },
    V6,
    "is a package's",
  ],
  [
    "a profile for any card is preferred: https://github.com/analogdevicesinc/kuiper/pull/203",
    { [`${KEYFILES}/a`]: `${OPEN}autoconnect-priority=10\n`, [`${KEYFILES}/b`]: NAMED },
    {},
    `${KEYFILES}/a is for any card`,
  ],
  [
    "a profile for some cards says which by a pattern: https://github.com/nmstate/nmstate/pull/2800",
    { [`${KEYFILES}/a`]: `${OPEN}multi-connect=3\n[match]\ninterface-name=!ens192;\n` },
    {},
    "it is unknown which",
  ],
  [
    "a profile has no name, which counts as one: https://github.com/warewulf/warewulf/issues/1777",
    { [`${KEYFILES}/a`]: `${OPEN}interface-name=\n[ethernet]\nmac-address=${CARD}\n` },
    {},
    "ens192 is configured by no file",
  ],
  [
    "network-scripts name no card: https://github.com/voxpupuli/puppet-network/pull/90",
    {
      [`${SCRIPTS}/ifcfg-lan`]: "TYPE=Ethernet\nBOOTPROTO=none\nIPADDR=192.0.2.10\n",
      [`${KEYFILES}/b`]: NAMED,
    },
    {},
    "ifcfg-lan can be for any card",
  ],
])("an address is not set, and the system not adapted, if %s", (_, files, to, why) => {
  expect(() => readdressed(files, movedTo(to ?? {}))).toThrow(why);
});

test("a renderer of a package's file that an own one hides does not count", () => {
  const name = "00-network-manager-all.yaml";
  const { files } = readdressed(
    {
      [`/usr/lib/netplan/${name}`]: NM,
      [`/etc/netplan/${name}`]: "network: {version: 2}\n",
      [NETPLAN]: V6_BY_ROUTER,
    },
    movedTo({ ...V6, gateway: undefined }),
  );
  expect(Object.keys(files)).toEqual([NETPLAN]);
});

// https://github.com/canonical/cloud-init/issues/2992, https://github.com/canonical/cloud-init/issues/2683
test("what cloud-init wrote is changed, and cloud-init does not write it again", () => {
  const before = "network:\n  ethernets:\n    ens192:\n      addresses: [192.0.2.10/24]\n  version: 2\n";
  const { files } = readdressed(
    { [NETPLAN]: before, "/etc/cloud/cloud.cfg": "users: [default]\n" },
    movedTo({}),
  );
  expect(files[NETPLAN]).toContain("192.0.2.20/24");
  expect(files["/etc/cloud/cloud.cfg.d/99-zz-causeway.cfg"]).toContain("network: {config: disabled}");
});

// https://github.com/canonical/cloud-init/issues/4121
test("all profiles that name an interface have its address, whichever NetworkManager takes", () => {
  const before = {
    [`${KEYFILES}/ens192.nmconnection`]: NAMED,
    [`${KEYFILES}/cloud-init-ens192.nmconnection`]: NAMED,
    [`${KEYFILES}/b`]: `${OPEN}autoconnect-priority=-999\n[ipv4]\nmethod=auto\n`,
  };
  const { files } = readdressed(before, movedTo({}));
  expect(Object.values(files)).toHaveLength(2);
  for (const text of Object.values(files)) expect(text).toContain("address1=192.0.2.20/24,192.0.2.1");
});

// https://github.com/systemd/systemd/issues/8686
test("a file with several patterns of names is copied for the interface, with what it has of the other family", () => {
  const shared =
    "[Match]\nName=en*\nName=eth*\n\n[Network]\nDHCP=ipv4\nAddress=2001:db8::1/128\nGateway=fe80::222:4dff:feff:1\n";
  const { files } = readdressed({ "/etc/systemd/network/20-ethernet.network": shared }, movedTo(LEASED));
  expect(files).toEqual({
    "/etc/systemd/network/00-causeway-ens192.network":
      "[Match]\nName=ens192\n\n[Network]\nDHCP=no\nAddress=2001:db8::1/128\nGateway=fe80::222:4dff:feff:1\nAddress=192.0.2.20/24\nGateway=192.0.2.1\n",
  });
});

test("addresses in the kernel's and in other notations with colons are noted, too", () => {
  const { notes } = readdressed(
    {
      [INTERFACES]: "iface ens192 inet static\n  address 192.0.2.10/24\n  gateway 192.0.2.1\n",
      // https://github.com/chadoe/luks-triple-unlock/issues/2
      "/etc/initramfs-tools/initramfs.conf": "DEVICE=\nIP=192.0.2.10::192.0.2.1:255.255.255.0::ens192:off\n",
      "/etc/ssh/sshd_config": "ListenAddress 192.0.2.10:22\n",
    },
    movedTo({ address: "198.51.100.20", gateway: "198.51.100.1" }),
  );
  expect(notes).toEqual([
    expect.stringMatching(
      /^\/etc\/initramfs-tools\/initramfs\.conf names 192\.0\.2\.10, 192\.0\.2\.1 \(line 2\)/,
    ),
    expect.stringMatching(/^\/etc\/ssh\/sshd_config names 192\.0\.2\.10 \(line 1\)/),
  ]);
});

describe("ifupdown, by its manual (https://manpages.debian.org/interfaces.5)", () => {
  const STATIC = "iface ens192 inet static\n  address 192.0.2.10/24\n";

  test("a comment ends with its line, also if that ends with a backslash", () => {
    const commented = `# was \\\n${STATIC}`;
    expect(readdressed({ [INTERFACES]: commented }, movedTo({ gateway: undefined })).files).toEqual({
      [INTERFACES]: commented.replace("192.0.2.10", "192.0.2.20"),
    });
  });

  test("included files can include others, and several at once", () => {
    const [first, second] = [`${INTERFACES}.d/first`, `${INTERFACES}.d/second.inc`];
    const files = {
      [INTERFACES]: "source interfaces.d/none interfaces.d/first\n",
      [first]: `source ${INTERFACES}.d/*.inc\n`,
      [second]: STATIC,
    };
    expect(Object.keys(readdressed(files, movedTo({})).files)).toEqual([second]);
  });

  test.each(["interfaces.d/*/*.conf", "interfaces.d/* /etc/network/more", "interfaces.d/lan/*"])(
    "an address is not set if files of other folders are included: source %s",
    (sources) => {
      const main = `source ${sources}\n${STATIC}`;
      expect(() => readdressed({ [INTERFACES]: main }, movedTo({}))).toThrow(
        "may configure the interface again",
      );
    },
  );

  test.each([
    ["up ip -6 addr add 2001:db8:0::10/64 dev ens192", V6, "names 2001:db8::10"],
    ["up route add default gw 192.0.2.1", { address: "198.51.100.20", gateway: undefined }, "default route"],
  ])("an address is not set if a command undoes it: %s", (command, to, why) => {
    const text = `${STATIC}  ${command}\niface ens192 inet6 manual\n`;
    expect(() => readdressed({ [INTERFACES]: text }, movedTo(to))).toThrow(why);
  });
});
