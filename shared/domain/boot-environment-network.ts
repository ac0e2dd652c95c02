/**
 * The part of a source's network that its boot environment gets: only what it needs to reach the control
 * plane. The boot environment can make ports, bonds and VLANs, but no bridges.
 */
import * as z from "zod";
import type { Inventory, NetworkInterface, NetworkPath, NetworkRoute } from "../protocol/inventory.ts";
import { hardwareAddressOf } from "./hardware-address.ts";
import { findWaysOut, type Way } from "./ways-out.ts";

/** An address with a prefix length. */
export const NetworkAddress = z.union([z.cidrv4(), z.cidrv6()]);

type Address = NetworkInterface["addresses"][number];

/** A route that the boot environment sets. */
export interface NeededRoute extends Pick<NetworkRoute, "destination" | "gateway" | "device" | "metric"> {
  family: Address["family"];
  /** If absent, the kernel chooses. */
  source?: string;
}

/**
 * Why the boot environment cannot have a path. `cluster` and `doubtful` concern the source address, `way`
 * everything else.
 */
export interface LostPath {
  kind: "way" | "cluster" | "doubtful";
  message: string;
}

/** A path that the boot environment also has. */
export interface CarriedPath {
  path: NetworkPath;
  /** The interface that it uses in the boot environment. */
  device: string;
  /** Its source address. */
  address: Address;
}

export interface BootEnvironmentNetwork {
  carried: CarriedPath[];
  /** The interfaces of the paths with their addresses, each one after the interfaces that it runs over. */
  interfaces: NetworkInterface[];
  routes: NeededRoute[];
  /** Interfaces that get their default route with their lease. */
  routedByLease: string[];
  /** Paths that the boot environment needs to reach the control plane but cannot have. */
  lost: LostPath[];
}

/** How many other routes fit into one plan; the rest are ignored. */
const OTHER_ROUTES = 32;
/**
 * Routes that an administrator or the system's network configuration set. Other routes come and go with
 * their programs.
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
    keepHardwareAddress(way, carrier);
    if (address.origin !== "router" && !way.made.addresses.some((one) => one.address === address.address))
      way.made.addresses.push(address);
    // The router that announces the address announces the route, too.
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
  /** The interface that the path uses in the source's own system. */
  carrier: NetworkInterface;
}
type Judged = Carried | { path: NetworkPath; lost: LostPath };

function judge(path: NetworkPath, interfaces: NetworkInterface[], ways: Way[]): Judged {
  const carrier = interfaces.find(({ name }) => name === path.device);
  const lose = (message: string, kind: LostPath["kind"] = "way"): Judged => ({
    path,
    lost: { kind, message: `${path.to} (${path.address}) is reached ${message}` },
  });
  if (!carrier) return lose(`over ${path.device}, which is not a network port`);
  const [way] = ways;
  if (!way || ways.length > 1 || !way.isPossible)
    return lose(`over ${path.device}, ${whyNot(carrier, ways)}`);
  const address = carrier.addresses.find((each) => each.address === path.source);
  if (!address)
    return lose(`from ${path.source ?? "an unknown address"}, which is not an address of ${path.device}`);
  const { origin } = address;
  if (origin === "cluster")
    return lose(`from ${path.source}, which a cluster moves between machines`, "cluster");
  if (origin === "dhcpv6") return lose(`from ${path.source}, which was assigned by DHCPv6`);
  if (!NetworkAddress.safeParse(`${address.address}/${address.prefixLength}`).success)
    return lose(`from ${path.source}, which is not an address`);
  return { path, way, address, carrier };
}

function whyNot({ name, kind, master, bridge, state }: NetworkInterface, ways: Way[]): string {
  if (ways.length > 1)
    return `which leads out by ${ways.map(({ made }) => made.name).join(" and ")}: the boot environment cannot make bridges`;
  if (ways.length === 1) return "which cannot be set up in the boot environment";
  if (bridge) return "a bridge without a port of the machine";
  if (master) return `which belongs to ${master}`;
  return `which is ${state === "down" ? "down" : kind}${name ? "" : " and has no name"}`;
}

/**
 * The hosts that the boot environment cannot reach. One path for each host is enough. A path from a doubtful
 * address counts as a path, but is reported, too.
 */
function lostOf(judged: readonly Judged[]): LostPath[] {
  const hosts = new Map<string, Judged[]>();
  for (const each of judged) hosts.set(each.path.to, [...(hosts.get(each.path.to) ?? []), each]);
  const lost: LostPath[] = [];
  // One name server is enough.
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

/** Adds the way after everything that it runs over. */
function need(way: Way, needed: Set<Way>): void {
  for (const below of way.runsOver) need(below, needed);
  needed.add(way);
}

/**
 * Gives the way the carrier's hardware address, because switches, routers and DHCP servers know the source by
 * that address.
 */
function keepHardwareAddress({ made }: Way, carrier: NetworkInterface): void {
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
  // The kernel adds this route with the address, except on a point-to-point link.
  if (path.gateway === undefined && path.protocol === "kernel" && prefixLength < wholeLength) return;
  const route: NeededRoute = {
    ...{ family, destination: path.destination, device: way.made.name, source: address.address },
    ...(path.gateway !== undefined && { gateway: path.gateway }),
  };
  const taken = routes.find((each) => each.family === family && each.destination === route.destination);
  const isTakenByLease = isDefault4(route) && routedByLease.size > 0;
  if (!taken && !isTakenByLease) routes.push(route);
  // Another table or router already has this destination, so this route is for its one address only.
  else if (taken?.gateway !== route.gateway || taken?.device !== route.device)
    routes.push({ ...route, destination: `${path.address}/${wholeLength}` });
}

/**
 * Adds the other routes over the same ports, because hosts can get other addresses while the machine
 * restarts.
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
 * Keeps the source address only on IPv4 routes for which the kernel would have a choice. An IPv6 address is
 * not yet usable when the route is set.
 */
function withSources(routes: readonly NeededRoute[], interfaces: readonly NetworkInterface[]): NeededRoute[] {
  return routes.map(({ source, ...route }) => {
    const device = interfaces.find(({ name }) => name === route.device);
    const choices = device?.addresses.filter(({ family }) => family === "ipv4") ?? [];
    const isChoice = choices.length > 1 && choices.some(({ address }) => address === source);
    return source !== undefined && isChoice && route.family === "ipv4" ? { ...route, source } : route;
  });
}
