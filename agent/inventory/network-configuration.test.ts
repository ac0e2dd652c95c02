import { expect, test } from "vitest";
import { parseCpuInfo, parseOsRelease } from "../machine/system.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { parseResolvConf } from "./name-servers.ts";
import { collectNetwork } from "./network.ts";
import { findInterfaceConfiguration, ifupdownMethod, networkdMethod } from "./network-configuration.ts";

function configurationOf(files: Record<string, string>) {
  return findInterfaceConfiguration(new RecordedMachine({ files }), "eth0", 2);
}

test("ifupdown's stanzas are found by name, by pattern and in the folder of further files", async () => {
  const text =
    "auto lo\niface lo inet loopback\niface en* inet dhcp\niface eth1 inet6 static\niface eth1 inet manual\n";
  expect(ifupdownMethod(text, "enp0s3")).toBe("dhcp");
  expect(ifupdownMethod(text, "eth1")).toBe("none");
  expect(ifupdownMethod(text, "eth2")).toBeUndefined();
  const files = {
    "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
    "/etc/network/interfaces.d/eth0": "iface eth0 inet static\n  address 10.0.0.5/24\n",
  };
  expect(await configurationOf(files)).toEqual({ source: "ifupdown", method: "static" });
});

test("systemd-networkd names the file that configures an interface", async () => {
  const network = "/etc/systemd/network/10-lan.network";
  const link = { "/run/systemd/netif/links/2": `ADMIN_STATE=configured\nNETWORK_FILE=${network}\n` };
  const configured = (text: string) => configurationOf({ ...link, [network]: text });
  expect(await configured("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n")).toEqual({
    source: "systemd-networkd",
    method: "dhcp",
  });
  expect(await configured("[Network]\n# DHCP=yes\nAddress=10.0.0.5/24\n")).toMatchObject({
    method: "static",
  });
  expect(await configurationOf(link)).toMatchObject({ source: "systemd-networkd", method: "unknown" });
  expect(networkdMethod("[Network]\nLinkLocalAddressing=no\n")).toBe("none");
});

test("NetworkManager's connection is found by its UUID, in its own files or in Red Hat's older ones", async () => {
  const device = {
    "/run/NetworkManager/devices/2": "[device]\nmanaged=true\nconnection-uuid=11-22\n",
    "/etc/NetworkManager/system-connections/other.nmconnection":
      "[connection]\nuuid=33\n[ipv4]\nmethod=auto\n",
  };
  const own = {
    "/run/NetworkManager/system-connections/a.nmconnection":
      "[connection]\nuuid=11-22\n[ipv4]\nmethod=manual\n",
  };
  expect(await configurationOf({ ...device, ...own })).toEqual({
    source: "network-manager",
    method: "static",
  });
  const older = { "/etc/sysconfig/network-scripts/ifcfg-eth0": 'BOOTPROTO="none"\nIPADDR=10.0.0.5\n' };
  expect(await configurationOf({ ...device, ...older })).toEqual({
    source: "network-manager",
    method: "static",
  });
  expect(await configurationOf(device)).toEqual({ source: "network-manager", method: "unknown" });
});

test("an interface that the kernel configured is found on its command line", async () => {
  expect(await configurationOf({ "/proc/cmdline": "root=/dev/nfs ip=dhcp quiet" })).toEqual({
    source: "kernel",
    method: "dhcp",
  });
  expect(await configurationOf({ "/proc/cmdline": "quiet" })).toEqual({
    source: "unknown",
    method: "unknown",
  });
});

test("name servers and search domains are read, and the last search line counts", () => {
  expect(
    parseResolvConf("# made by hand\nnameserver 10.0.0.1\nnameserver fd00::1\ndomain a\nsearch b c\n"),
  ).toEqual({
    servers: ["10.0.0.1", "fd00::1"],
    search: ["b", "c"],
  });
});

test("a bond's ports have their own hardware addresses, even if the kernel gives them only in the bond's file", async () => {
  const link = (ifname: string, more: object) => ({
    ...{ ifindex: 1, ifname, mtu: 1500, operstate: "UP", link_type: "ether", address: "52:54:00:00:00:01" },
    ...more,
  });
  const links = [
    link("bond0", { linkinfo: { info_kind: "bond", info_data: { mode: "802.3ad" } } }),
    link("eth0", { master: "bond0" }),
    link("eth1", { master: "bond0" }),
    link("eth2", { master: "bond0", permaddr: "52:54:00:00:00:03" }),
  ];
  const { network } = await collectNetwork(
    new RecordedMachine({
      commands: { "ip -json -details address show": JSON.stringify(links) },
      files: {
        "/proc/net/bonding/bond0": [
          "Ethernet Channel Bonding Driver: v3.7.1\n\nBonding Mode: IEEE 802.3ad Dynamic link aggregation\n",
          "Slave Interface: eth0\nMII Status: up\nPermanent HW addr: 52:54:00:00:00:01\nSlave queue ID: 0\n",
          "Slave Interface: eth1\nMII Status: up\nPermanent HW addr: 52:54:00:00:00:02\nSlave queue ID: 0\n",
        ].join("\n"),
      },
    }),
  );
  expect(network.interfaces.map(({ name, permanentMacAddress }) => `${name} ${permanentMacAddress}`)).toEqual(
    ["bond0 undefined", "eth0 52:54:00:00:00:01", "eth1 52:54:00:00:00:02", "eth2 52:54:00:00:00:03"],
  );
});

test("os-release is read with either kind of quote, or none", () => {
  expect(parseOsRelease('ID=debian\nPRETTY_NAME="A \\"B\\""\nVERSION_ID=\'12\'\nnot a line\n')).toEqual({
    ID: "debian",
    PRETTY_NAME: 'A "B"',
    VERSION_ID: "12",
  });
});

test("processors are counted on machines that name no model", () => {
  expect(parseCpuInfo("processor\t: 0\nFeatures\t: fp asimd\n\nprocessor\t: 1\n")).toEqual({
    count: 2,
    model: "unknown",
    flags: ["fp", "asimd"],
  });
  expect(parseCpuInfo("")).toEqual({ count: 1, model: "unknown", flags: [] });
});
