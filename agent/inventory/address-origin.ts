/** Whether an address belongs to this machine, or to a cluster that moves it from machine to machine. */
import { isIP } from "node:net";
import { canonicalAddress } from "#shared/addresses.ts";
import type { AddressOrigin, InterfaceConfiguration, NetworkInterface } from "#shared/protocol/inventory.ts";
import { type Machine, readFolder, readText } from "../machine/machine.ts";

/** Files and folders that configure a machine's own addresses. */
const CONFIGURATION = {
  files: [
    ...["/etc/network/interfaces", "/etc/dhcpcd.conf", "/etc/rc.conf", "/etc/conf.d/net", "/proc/cmdline"],
    ...["/etc/rc.local", "/etc/rc.d/rc.local"],
  ],
  folders: [
    ...[
      "/etc/network/interfaces.d",
      "/etc/netplan",
      "/run/netplan",
      "/run/systemd/network",
      "/etc/systemd/network",
    ],
    ...["/usr/lib/systemd/network", "/etc/NetworkManager/system-connections"],
    ...["/run/NetworkManager/system-connections", "/etc/sysconfig/network-scripts", "/etc/sysconfig/network"],
    ...["/etc/cloud/cloud.cfg.d", "/var/lib/cloud/seed/nocloud-net", "/etc/network/if-up.d"],
  ],
};

/** Programs that assign addresses to a machine which another machine may have a moment later. */
const CLUSTER_PROGRAMS = new Set([
  ...["keepalived", "pacemakerd", "corosync", "heartbeat", "ucarp", "uvrrpd", "vrrpd", "carpd", "ctdbd"],
  ...["kube-vip", "vip-manager", "speaker", "crsd.bin", "rgmanager", "wackamole", "evmd.bin"],
]);

interface Find {
  files: string[];
  folders: string[];
  /** The part of the text that contains a cluster's addresses; if absent, all of it. */
  parts?: RegExp;
}

/** Where clusters keep their addresses. One row for each kind. */
const CLUSTER_FILES: readonly Find[] = [
  {
    files: ["/etc/keepalived/keepalived.conf"],
    folders: ["/etc/keepalived", "/etc/keepalived/conf.d"],
    parts: /virtual_ipaddress(?:_excluded)?\s*\{[^}]*\}/g,
  },
  {
    // Addresses of IPaddr and IPaddr2; those of nodes are elsewhere.
    files: ["/var/lib/pacemaker/cib/cib.xml", "/etc/cluster/cluster.conf"],
    folders: [],
    parts: /<nvpair\b[^>]*\bname="ip"[^>]*>|<ip\b[^>]*>/g,
  },
  { files: ["/etc/ha.d/haresources"], folders: [] },
  { files: ["/etc/ctdb/public_addresses"], folders: [] },
  { files: ["/etc/default/vip-manager.yml", "/etc/vip-manager.yml"], folders: [], parts: /^\s*ip:.*$/gm },
  {
    files: ["/etc/network/interfaces"],
    folders: ["/etc/network/interfaces.d"],
    parts: /^\s*ucarp-vip\s.*$/gm,
  },
  {
    files: [],
    folders: ["/etc/kubernetes/manifests", "/var/lib/rancher/k3s/server/manifests"],
    parts: /name:\s*"?(?:address|vip_address)"?\s*\n\s*value:.*$/gm,
  },
];

export interface AddressEvidence {
  /** Normalised. */
  configured: ReadonlySet<string>;
  cluster: ReadonlySet<string>;
  /** A program is running that moves addresses between machines. */
  movesAddresses: boolean;
}

export async function collectAddressEvidence(
  machine: Machine,
  programs: ReadonlyMap<string, unknown>,
): Promise<AddressEvidence> {
  const cluster: string[] = [];
  for (const { files, folders, parts } of CLUSTER_FILES) {
    for (const text of await textsOf(machine, { files, folders }))
      cluster.push(...(parts ? (text.match(parts) ?? []) : [text]).flatMap(addressesIn));
  }
  const configured = (await textsOf(machine, CONFIGURATION)).flatMap(addressesIn);
  const movesAddresses = [...programs.keys()].some((name) => CLUSTER_PROGRAMS.has(name));
  return { configured: new Set(configured), cluster: new Set(cluster), movesAddresses };
}

export type ToldAddress = Omit<NetworkInterface["addresses"][number], "origin"> & {
  /** Not the first of its network on the interface. */
  secondary: boolean;
  /** The program that set it, if the kernel records that. */
  protocol?: string | undefined;
};

/** Whether the address belongs to this machine, judged among all addresses of its interface. */
export function originOf(
  address: ToldAddress,
  all: readonly ToldAddress[],
  { method }: Pick<InterfaceConfiguration, "method">,
  evidence: AddressEvidence,
): AddressOrigin {
  const { family, prefixLength, dynamic, secondary, protocol } = address;
  const normal = normalAddress(address.address);
  if (protocol === "keepalived" || evidence.cluster.has(normal)) return "cluster";
  if (dynamic) {
    if (family === "ipv4") return "lease";
    return prefixLength === 128 ? "dhcpv6" : "router";
  }
  if (evidence.configured.has(normal)) return "configured";
  // An infinite lease has no lifetime, either.
  const others = all.filter((each) => each !== address && each.family === family);
  if (family === "ipv4" && method === "dhcp" && !secondary && !others.some((each) => each.dynamic))
    return evidence.movesAddresses ? "doubtful" : "lease";
  const isWholeLength = prefixLength === (family === "ipv4" ? 32 : 128);
  return evidence.movesAddresses || secondary || (isWholeLength && others.length > 0)
    ? "doubtful"
    : "unnamed";
}

/** Every address in a text, comments excluded. */
export function addressesIn(text: string): string[] {
  const lines = text.split("\n").filter((line) => !/^\s*[#;!]/.test(line));
  const words = lines.flatMap((line) => line.split(/[^0-9A-Fa-f:.]+/));
  return words.flatMap((word) => {
    const trimmed = word.replace(/^[.]+|[.]+$/g, "");
    // An old notation: address, then other fields after a colon.
    return [trimmed, ...trimmed.split(":")].filter((part) => isIP(part)).map(normalAddress);
  });
}

function normalAddress(address: string): string {
  return isIP(address) === 0 ? address : canonicalAddress(address);
}

async function textsOf(machine: Machine, { files, folders }: Omit<Find, "parts">): Promise<string[]> {
  const texts: string[] = [];
  for (const file of files) texts.push((await readText(machine, file)) ?? "");
  for (const folder of folders) texts.push(...(await readFolder(machine, folder)).map(({ text }) => text));
  return texts;
}
