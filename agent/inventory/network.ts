import { basename } from "node:path";
import * as z from "zod";
import {
  type Inventory,
  type NetworkInterface,
  type NetworkRoute,
  UNKNOWN,
} from "#shared/protocol/inventory.ts";
import { clip, type Machine, readText } from "../machine/machine.ts";
import {
  type AddressEvidence,
  collectAddressEvidence,
  originOf,
  type ToldAddress,
} from "./address-origin.ts";
import { collectReach } from "./control-plane-reach.ts";
import { findDhcpClientId } from "./dhcp-client.ts";
import { collectDns } from "./name-servers.ts";
import { findInterfaceConfiguration } from "./network-configuration.ts";
import type { AgentVariables } from "./network-obstacles.ts";
import { runningPrograms } from "./programs.ts";

/**
 * Ends of containers' cables, and devices that shape traffic: nothing that a boot environment would bring up.
 */
const PASSING_KINDS = ["veth", "ifb", "dummy", "tun"];

const Link = z.object({
  ifindex: z.int(),
  ifname: z.string(),
  mtu: z.int().positive(),
  operstate: z.string(),
  link_type: z.string(),
  address: z.string().optional(),
  permaddr: z.string().optional(),
  /** The parent of a VLAN. */
  link: z.string().optional(),
  /** The bond or bridge that contains it. */
  master: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z.object({ id: z.int().optional(), mode: z.string().optional() }).optional(),
    })
    .optional(),
  addr_info: z
    .array(
      z.object({
        family: z.string(),
        local: z.string().optional(),
        prefixlen: z.int(),
        scope: z.string(),
        dynamic: z.boolean().optional(),
        secondary: z.boolean().optional(),
        protocol: z.string().optional(),
      }),
    )
    .default([]),
});
type Link = z.infer<typeof Link>;

const RouteLine = z.object({
  dst: z.string(),
  gateway: z.string().optional(),
  dev: z.string().optional(),
  metric: z.int().nonnegative().optional(),
  protocol: z.string().optional(),
});

/** The control plane as this agent reaches it. */
export interface ControlPlane {
  hosts: readonly string[];
  environment: AgentVariables;
}

/**
 * Interfaces, routes and name servers, and how the control plane is reached if one is given. If `ip` is not
 * installed, interfaces and routes are empty and `hasTool` is `false`.
 */
export async function collectNetwork(
  machine: Machine,
  controlPlane?: ControlPlane,
): Promise<{ network: Inventory["network"]; hasTool: boolean }> {
  const links = await machine.run("ip", "-json", "-details", "address", "show");
  const routes: NetworkRoute[] = [];
  for (const family of ["-4", "-6"]) {
    const printed = await machine.run("ip", "-json", family, "route", "show");
    routes.push(...parseRoutes(printed?.output ?? ""));
  }
  const bareInterfaces = parseLinks(links?.output ?? "");
  const ownAddresses = await collectBondPorts(machine, bareInterfaces);
  const programs = controlPlane ? await runningPrograms(machine) : new Map<string, string[]>();
  const evidence = controlPlane && (await collectAddressEvidence(machine, programs));
  const interfaces: NetworkInterface[] = [];
  for (const { index, told, ...nic } of bareInterfaces) {
    const device = `/sys/class/net/${nic.name}`;
    const driver = await machine.resolve(`${device}/device/driver`);
    const isWireless = (await machine.list(`${device}/wireless`)).length > 0;
    const permanentMacAddress = nic.permanentMacAddress ?? ownAddresses.get(nic.name);
    const configuration = await findInterfaceConfiguration(machine, nic.name, index);
    const addresses = told.map((address) => toAddress(address, told, configuration, evidence));
    const isLeased = addresses.some(({ origin }) => origin === "lease");
    const client = { name: nic.name, index, macAddress: nic.macAddress, source: configuration.source };
    interfaces.push({
      ...nic,
      addresses,
      ...(permanentMacAddress && { permanentMacAddress }),
      kind: isWireless ? "wireless" : nic.kind,
      ...(driver && { driver: basename(driver) }),
      configuration,
      ...(isLeased && { dhcpClientId: await findDhcpClientId(machine, client, programs) }),
    });
  }
  const localAddresses = interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  const dns = await collectDns(machine, localAddresses);
  const ports = interfaces.filter(({ kind }) => kind === "ethernet").map(({ name }) => name);
  const reach =
    controlPlane &&
    (await collectReach(machine, {
      ...{ hosts: controlPlane.hosts, dns, ports },
      surroundings: { programs, environment: controlPlane.environment },
    }));
  const network = {
    interfaces: interfaces.slice(0, 128),
    routes: routes.slice(0, 256),
    dns,
    ...(reach && { reach }),
  };
  return { network, hasTool: links !== undefined };
}

type BareInterface = Omit<NetworkInterface, "configuration" | "addresses"> & {
  index: number;
  told: ToldAddress[];
};

/**
 * What `ip -json -details address` printed, without loopback; `undefined` if it printed no JSON, as older
 * versions do.
 */
export function parseLinks(output: string): BareInterface[] {
  const links = parseList(Link, output);
  return links
    .filter((link) => link.link_type !== "loopback")
    .filter((link) => !PASSING_KINDS.includes(link.linkinfo?.info_kind ?? ""))
    .map((link) => toInterface(link, links));
}

function toInterface(link: Link, links: Link[]): BareInterface {
  const kind = kindOf(link);
  const members = links.filter((each) => each.master === link.ifname).map((each) => each.ifname);
  const data = link.linkinfo?.info_data;
  return {
    index: link.ifindex,
    name: clip(link.ifname),
    ...(link.link_type === "ether" && link.address && { macAddress: link.address.toLowerCase() }),
    ...(link.permaddr && { permanentMacAddress: link.permaddr.toLowerCase() }),
    kind,
    state: link.operstate === "UP" ? "up" : link.operstate === "UNKNOWN" ? UNKNOWN : "down",
    mtuBytes: link.mtu,
    told: addressesOf(link),
    ...(link.master && { master: clip(link.master) }),
    ...(kind === "vlan" && data?.id !== undefined && { vlan: { id: data.id, parent: link.link ?? UNKNOWN } }),
    ...(kind === "bond" && { bond: { mode: data?.mode ?? UNKNOWN, members: members.slice(0, 16) } }),
    ...(kind === "bridge" && { bridge: { members: members.slice(0, 64) } }),
  };
}

/**
 * The hardware addresses that bonds' ports have of their own: kernels before 5.6 do not give them to `ip`.
 */
async function collectBondPorts(machine: Machine, interfaces: BareInterface[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, kind } of interfaces) {
    if (kind !== "bond") continue;
    const text = (await readText(machine, `/proc/net/bonding/${name}`)) ?? "";
    for (const [port, address] of parseBondPorts(text)) found.set(port, address);
  }
  return found;
}

/** Ports and their own hardware addresses, from the bonding driver. */
export function parseBondPorts(text: string): Map<string, string> {
  const [, ...ports] = text.split(/^Slave Interface: /m);
  return new Map(
    ports.flatMap((port) => {
      const name = /^\S+/.exec(port)?.[0];
      const address = /^Permanent HW addr: ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$/im.exec(port)?.[1];
      return name && address ? [[clip(name), address.toLowerCase()]] : [];
    }),
  );
}

function kindOf(link: Link): NetworkInterface["kind"] {
  const kind = link.linkinfo?.info_kind;
  if (kind === "vlan" || kind === "bond" || kind === "bridge") return kind;
  if (kind !== undefined) return "virtual";
  return link.link_type === "ether" ? "ethernet" : UNKNOWN;
}

function addressesOf(link: Link): ToldAddress[] {
  const addresses = link.addr_info.flatMap(
    ({ family, local, prefixlen, scope, dynamic, secondary, protocol }) => {
      // Link-local addresses appear by themselves.
      if (!local || scope === "link" || (family !== "inet" && family !== "inet6")) return [];
      return [
        {
          family: family === "inet" ? ("ipv4" as const) : ("ipv6" as const),
          address: local,
          prefixLength: prefixlen,
          dynamic: dynamic === true,
          secondary: secondary === true,
          protocol,
        },
      ];
    },
  );
  return addresses.slice(0, 32);
}

function toAddress(
  { secondary, protocol, ...address }: ToldAddress,
  told: readonly ToldAddress[],
  configuration: NetworkInterface["configuration"],
  evidence: AddressEvidence | undefined,
): NetworkInterface["addresses"][number] {
  if (!evidence) return address;
  return { ...address, origin: originOf({ ...address, secondary, protocol }, told, configuration, evidence) };
}

/** What `ip -json route` printed; leaves out routes without a device, such as unreachable ones. */
export function parseRoutes(output: string): NetworkRoute[] {
  return parseList(RouteLine, output).flatMap(({ dst, gateway, dev, metric, protocol }) => {
    if (!dev) return [];
    return [
      {
        destination: dst,
        ...(gateway && { gateway }),
        device: dev,
        ...(metric !== undefined && { metric }),
        ...(protocol && { protocol: clip(protocol) }),
      },
    ];
  });
}

/** The elements that fit the type; one odd interface must not hide the others. */
function parseList<T>(type: z.ZodType<T>, output: string): T[] {
  try {
    return z
      .array(z.unknown())
      .parse(JSON.parse(output))
      .flatMap((element) => type.safeParse(element).data ?? []);
  } catch {
    return [];
  }
}
