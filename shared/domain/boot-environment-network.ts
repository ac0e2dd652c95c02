/**
 * Which part of a source's network its boot environment gets: what reaches the control plane, and nothing
 * else. It makes ports, bonds and VLANs, but no bridges.
 */
import { z } from "zod";
import type { Inventory, NetworkInterface, NetworkPath, NetworkRoute } from "../protocol/inventory.ts";
import { hardwareAddressOf } from "./hardware-address.ts";
import { findWaysOut, type Way } from "./ways-out.ts";

/** With a prefix length. */
export const NetworkAddress = z.union([z.cidrv4(), z.cidrv6()]);

type Address = NetworkInterface["addresses"][number];

/** A route as the boot environment is to have it. */
export interface NeededRoute extends Pick<NetworkRoute, "destination" | "gateway" | "device" | "metric"> {
  family: Address["family"];
  /** Chosen by the kernel where it is absent. */
  source?: string;
}

/** Why a path cannot be had: `address` where it is the source address, `way` where it is anything else. */
export interface LostPath {
  kind: "way" | "cluster" | "doubtful";
  message: string;
}

/** A path that the boot environment has, too. */
export interface CarriedPath {
  path: NetworkPath;
  /** What it goes over there. */
  device: string;
  /** From where. */
  address: Address;
}

export interface BootEnvironmentNetwork {
  carried: CarriedPath[];
  /** What the paths go over, each after what it stands on, with the addresses that it needs. */
  interfaces: NetworkInterface[];
  routes: NeededRoute[];
  /** Interfaces whose default route comes with their lease. */
  routedByLease: string[];
  /** What the control plane cannot be reached without, and the boot environment cannot have. */
  lost: LostPath[];
}

/** What fits into one plan; more are not read. */
const OTHER_ROUTES = 32;
/**
 * Set by an administrator or by the system's network configuration; others come and go with their programs.
 */
const LASTING_PROTOCOLS: readonly (string | undefined)[] = [undefined, "boot", "static", "dhcp"];

export function bootEnvironmentNetworkOf(network: Inventory["network"]): BootEnvironmentNetwork {
  const waysOutOf = findWaysOut(network.interfaces);
  const judged = (network.reach?.paths ?? []).map((path) =>
    judge(path, network.interfaces, waysOutOf(path.device)),
  );
  const carried = judged.filter((each) => "way" in each);
  const needed = new Set<Way>();
  const routes: NeededRoute[] = [];
  const routedByLease = new Set<string>();
  for (const { path, way, address, carrier } of carried) {
    need(way, needed);
    wear(way, carrier);
    if (address.origin !== "router" && !way.made.addresses.some((one) => one.address === address.address))
      way.made.addresses.push(address);
    // The router that announces the address announces itself.
    if (address.origin === "router") continue;
    if (bringsDefault(path, address) && !routes.some(isDefault4)) routedByLease.add(way.made.name);
    else addRoute(routes, routedByLease, { path, way, address });
  }
  const made = [...needed].map((way) => way.made);
  addOtherRoutes(
    routes,
    network.routes,
    (device) => {
      const [way, another] = waysOutOf(device);
      return way && !another && needed.has(way) && way.made.addresses.length > 0 ? way : undefined;
    },
    routedByLease,
  );
  return {
    carried: carried.map(({ path, way, address }) => ({ path, device: way.made.name, address })),
    interfaces: made,
    routes: withSources(routes, made),
    routedByLease: [...routedByLease],
    lost: lostOf(judged),
  };
}

interface Carried {
  path: NetworkPath;
  way: Way;
  address: Address;
  /** What the path goes over in the source's own system. */
  carrier: NetworkInterface;
}
type Judged = Carried | { path: NetworkPath; lost: LostPath };

function judge(path: NetworkPath, interfaces: NetworkInterface[], ways: Way[]): Judged {
  const carrier = interfaces.find(({ name }) => name === path.device);
  const lose = (message: string, kind: LostPath["kind"] = "way"): Judged => ({
    path,
    lost: { kind, message: `${path.to} (${path.address}) is reached ${message}` },
  });
  if (!carrier) return lose(`over ${path.device}, which is no network port`);
  const [way] = ways;
  if (!way || ways.length > 1 || !way.isPossible)
    return lose(`over ${path.device}, ${whyNot(carrier, ways)}`);
  const address = carrier.addresses.find((each) => each.address === path.source);
  if (!address)
    return lose(`from ${path.source ?? "an unknown address"}, which is not an address of ${path.device}`);
  const { origin } = address;
  if (origin === "cluster")
    return lose(`from ${path.source}, which a cluster moves between machines`, "cluster");
  if (origin === "dhcpv6") return lose(`from ${path.source}, which DHCPv6 gave`);
  if (!NetworkAddress.safeParse(`${address.address}/${address.prefixLength}`).success)
    return lose(`from ${path.source}, which is no address`);
  return { path, way, address, carrier };
}

function whyNot({ name, kind, master, bridge, state }: NetworkInterface, ways: Way[]): string {
  if (ways.length > 1)
    return `which leads out by ${ways.map(({ made }) => made.name).join(" and ")}: the boot environment makes no bridges`;
  if (ways.length === 1) return "which cannot be set up in the boot environment";
  if (bridge) return "a bridge that leads to no port of the machine";
  if (master) return `which belongs to ${master}`;
  return `which is ${state === "down" ? "down" : kind}${name ? "" : " and has no name"}`;
}

/**
 * Every host needs one path that can be had; then the others do not count. What is doubtful is had, and
 * told.
 */
function lostOf(judged: readonly Judged[]): LostPath[] {
  const hosts = new Map<string, Judged[]>();
  for (const each of judged) hosts.set(each.path.to, [...(hosts.get(each.path.to) ?? []), each]);
  const lost: LostPath[] = [];
  // Of several name servers one is enough.
  const servers = judged.filter(({ path }) => path.use === "name-server");
  const hasServer = servers.some((each) => "way" in each);
  for (const paths of hosts.values()) {
    if (paths.some((each) => "way" in each || (each.path.use === "name-server" && hasServer))) continue;
    const [first] = paths;
    if (first && "lost" in first) lost.push(first.lost);
  }
  const doubts = judged.flatMap((each) =>
    "way" in each && each.address.origin === "doubtful" ? [each.address.address] : [],
  );
  for (const address of new Set(doubts))
    lost.push({ kind: "doubtful", message: `no configuration of this machine names its address ${address}` });
  return lost;
}

/** With all that it stands on, which comes first. */
function need(way: Way, needed: Set<Way>): void {
  for (const below of way.standsOn) need(below, needed);
  needed.add(way);
}

/** Switches, routers and DHCP servers know the source by the hardware address of what carries the path. */
function wear({ made }: Way, carrier: NetworkInterface): void {
  if (carrier.macAddress === undefined || carrier.macAddress === made.macAddress) return;
  const own = hardwareAddressOf(made);
  Object.assign(made, { macAddress: carrier.macAddress, ...(own && { permanentMacAddress: own }) });
}

function bringsDefault({ destination, protocol }: NetworkPath, { origin }: Address): boolean {
  return origin === "lease" && destination === "default" && protocol !== "static";
}

function isDefault4({ family, destination }: Pick<NeededRoute, "family" | "destination">): boolean {
  return family === "ipv4" && destination === "default";
}

function addRoute(
  routes: NeededRoute[],
  routedByLease: ReadonlySet<string>,
  { path, way, address }: Pick<Carried, "path" | "way" | "address">,
): void {
  const { family, prefixLength } = address;
  const wholeLength = family === "ipv4" ? 32 : 128;
  // Comes with the address, except that of a point-to-point link.
  if (path.gateway === undefined && path.protocol === "kernel" && prefixLength < wholeLength) return;
  const route: NeededRoute = {
    ...{ family, destination: path.destination, device: way.made.name, source: address.address },
    ...(path.gateway !== undefined && { gateway: path.gateway }),
  };
  const taken = routes.find((each) => each.family === family && each.destination === route.destination);
  const isTakenByLease = isDefault4(route) && routedByLease.size > 0;
  if (!taken && !isTakenByLease) routes.push(route);
  // Several tables, or several routers of one route: each of the others is for its address alone.
  else if (taken?.gateway !== route.gateway || taken?.device !== route.device)
    routes.push({ ...route, destination: `${path.address}/${wholeLength}` });
}

/**
 * Hosts may get other addresses while the machine restarts: what else leads over these ports stays as it
 * is.
 */
function addOtherRoutes(
  routes: NeededRoute[],
  all: readonly NetworkRoute[],
  wayOf: (device: string) => Way | undefined,
  routedByLease: Set<string>,
): void {
  let left = OTHER_ROUTES;
  for (const { destination, gateway, device, metric, protocol } of all) {
    const way = wayOf(device);
    if (!way || gateway === undefined || !LASTING_PROTOCOLS.includes(protocol) || left === 0) continue;
    const family = (destination === "default" ? gateway : destination).includes(":") ? "ipv6" : "ipv4";
    const hasFamily = way.made.addresses.some((address) => address.family === family);
    const isTaken = routes.some((each) => each.family === family && each.destination === destination);
    const isDefault = isDefault4({ family, destination });
    if (!hasFamily || isTaken || (isDefault && routedByLease.size > 0)) continue;
    if (isDefault && protocol !== "static" && way.made.addresses.some(({ origin }) => origin === "lease")) {
      routedByLease.add(way.made.name);
      continue;
    }
    left -= 1;
    routes.push({
      family,
      destination,
      gateway,
      device: way.made.name,
      ...(metric !== undefined && { metric }),
    });
  }
}

/**
 * The source address is said only where the kernel would have a choice, and where it may be said: IPv6 has
 * to be ready first.
 */
function withSources(routes: readonly NeededRoute[], interfaces: readonly NetworkInterface[]): NeededRoute[] {
  return routes.map(({ source, ...route }) => {
    const device = interfaces.find(({ name }) => name === route.device);
    const choices = device?.addresses.filter(({ family }) => family === "ipv4") ?? [];
    const isChoice = choices.length > 1 && choices.some(({ address }) => address === source);
    return source !== undefined && isChoice && route.family === "ipv4" ? { ...route, source } : route;
  });
}
