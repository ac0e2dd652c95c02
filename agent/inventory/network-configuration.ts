import { matchesGlob } from "node:path";
import { type InterfaceConfiguration, UNKNOWN } from "#shared/protocol/inventory.ts";
import { type Machine, readFolder, readText } from "../machine/machine.ts";
import { iniValue, parseIni } from "./ini.ts";

/** What configures an interface and how, according to its configuration files. */
export async function findInterfaceConfiguration(
  machine: Machine,
  name: string,
  index: number,
): Promise<InterfaceConfiguration> {
  return (
    (await fromNetworkd(machine, index)) ??
    (await fromNetworkManager(machine, name, index)) ??
    (await fromIfupdown(machine, name)) ??
    (await fromKernel(machine)) ?? { source: UNKNOWN, method: UNKNOWN }
  );
}

async function fromNetworkd(machine: Machine, index: number): Promise<InterfaceConfiguration | undefined> {
  const state = await readText(machine, `/run/systemd/netif/links/${index}`);
  const file = /^NETWORK_FILE=(.+)$/m.exec(state ?? "")?.[1];
  if (!file) return undefined;
  const text = await readText(machine, file);
  const method = text === undefined ? UNKNOWN : networkdMethod(text);
  return { source: "systemd-networkd", method };
}

export function networkdMethod(text: string): InterfaceConfiguration["method"] {
  const file = parseIni(text);
  const dhcp = iniValue(file, "Network", "DHCP")?.toLowerCase() ?? "no";
  if (["yes", "true", "1", "on", "ipv4", "v4", "both"].includes(dhcp)) return "dhcp";
  const hasAddress = iniValue(file, "Network", "Address") ?? iniValue(file, "Address", "Address");
  return hasAddress ? "static" : "none";
}

async function fromNetworkManager(
  machine: Machine,
  name: string,
  index: number,
): Promise<InterfaceConfiguration | undefined> {
  const device = parseIni((await readText(machine, `/run/NetworkManager/devices/${index}`)) ?? "");
  const uuid = iniValue(device, "device", "connection-uuid");
  if (!uuid) return undefined;
  for (const folder of ["/etc", "/run"]) {
    for (const { text } of await readFolder(machine, `${folder}/NetworkManager/system-connections`)) {
      const connection = parseIni(text);
      if (iniValue(connection, "connection", "uuid") !== uuid) continue;
      return {
        source: "network-manager",
        method: networkManagerMethod(iniValue(connection, "ipv4", "method")),
      };
    }
  }
  const ifcfg = parseIni((await readText(machine, `/etc/sysconfig/network-scripts/ifcfg-${name}`)) ?? "");
  const protocol = iniValue(ifcfg, "", "BOOTPROTO")?.replaceAll(/["']/g, "").toLowerCase();
  if (protocol === "dhcp") return { source: "network-manager", method: "dhcp" };
  const isStatic = protocol !== undefined && iniValue(ifcfg, "", "IPADDR") !== undefined;
  return { source: "network-manager", method: isStatic ? "static" : UNKNOWN };
}

function networkManagerMethod(method: string | undefined): InterfaceConfiguration["method"] {
  if (method === "auto") return "dhcp";
  if (method === "manual") return "static";
  return method === "disabled" ? "none" : UNKNOWN;
}

async function fromIfupdown(machine: Machine, name: string): Promise<InterfaceConfiguration | undefined> {
  const main = await readText(machine, "/etc/network/interfaces");
  if (main === undefined) return undefined;
  const more = await readFolder(machine, "/etc/network/interfaces.d");
  const method = ifupdownMethod([main, ...more.map((file) => file.text)].join("\n"), name);
  return method && { source: "ifupdown", method };
}

/**
 * `iface NAME inet METHOD`; the name can be a pattern. Returns `undefined` if no stanza is about this
 * interface.
 */
export function ifupdownMethod(text: string, name: string): InterfaceConfiguration["method"] | undefined {
  for (const line of text.split("\n")) {
    const [keyword, pattern = "", family, method] = line.trim().split(/\s+/);
    if (keyword !== "iface" || family !== "inet") continue;
    if (pattern !== name && !matchesGlob(name, pattern.replace(/^\//, ""))) continue;
    if (method === "dhcp" || method === "static") return method;
    return method === "manual" ? "none" : UNKNOWN;
  }
  return undefined;
}

/** The `ip=` parameter: network boot, or an initial RAM disk that needed the network. */
async function fromKernel(machine: Machine): Promise<InterfaceConfiguration | undefined> {
  const parameter = /(?:^|\s)ip=(\S+)/.exec((await readText(machine, "/proc/cmdline")) ?? "")?.[1];
  if (!parameter) return undefined;
  const isDynamic = parameter.split(":").some((part) => ["dhcp", "on", "any", "both"].includes(part));
  return { source: "kernel", method: isDynamic ? "dhcp" : "static" };
}
