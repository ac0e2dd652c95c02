/** Which part of a source's network its boot environment can have: it makes ports, bonds and VLANs, but no bridges. */
import { z } from "zod";
import type { Inventory, NetworkInterface, NetworkRoute } from "../protocol/inventory.ts";
import { hardwareAddressOf } from "./hardware-address.ts";

export const InterfaceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/);
export const MacAddress = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
export const VlanId = z.int().min(1).max(4094);
/** With a prefix length. */
export const NetworkAddress = z.union([z.cidrv4(), z.cidrv6()]);

export interface BootEnvironmentNetwork {
  /** What has an address or carries something that has, each after what it stands on. A bridge's addresses are its only way out's. */
  interfaces: NetworkInterface[];
  routes: NetworkRoute[];
  /** Which addresses that lead out of the machine it cannot have, and why. */
  lost: string[];
}

export function bootEnvironmentNetworkOf(network: Inventory["network"]): BootEnvironmentNetwork {
  const waysOutOf = findWaysOut(network.interfaces);
  const needed = new Set<Way>();
  const lost: string[] = [];
  for (const each of network.interfaces) {
    // A link-local address makes itself.
    const addresses = each.addresses.filter(({ address }) => !address.startsWith("fe80:"));
    if (addresses.length === 0) continue;
    const ways = waysOutOf(each.name);
    const [way] = ways;
    if (!way || ways.length > 1 || !way.isPossible) {
      const reason = whyLost(each, ways, network.routes);
      if (reason) lost.push(`${each.name} (${addresses.map(({ address }) => address).join(", ")}) ${reason}`);
      continue;
    }
    need(way, needed);
    for (const one of addresses) {
      const written = `${one.address}/${one.prefixLength}`;
      // What was leased is asked for again, not written down.
      if (one.dynamic || NetworkAddress.safeParse(written).success) way.made.addresses.push(one);
      else lost.push(`${written} of ${each.name} is no address`);
    }
  }
  const routes = network.routes.map((route) => {
    const [way, another] = waysOutOf(route.device);
    return way && !another ? { ...route, device: way.made.name } : route;
  });
  return { interfaces: [...needed].map(({ made }) => made), routes, lost };
}

/** A port, bond or VLAN by which something leads out of the machine. */
interface Way {
  /** As the boot environment is to make it, at first without addresses. */
  made: NetworkInterface;
  standsOn: Way[];
  isPossible: boolean;
}

/** By which ways the interface of a name leads out of the machine: several with a bridge of several ports, none with one for guests only. */
function findWaysOut(interfaces: NetworkInterface[]): (name: string) => Way[] {
  const byName = new Map(interfaces.map((each) => [each.name, each]));
  const known = new Map<string, Way[]>();
  const waysOutOf = (name: string): Way[] => {
    const found = known.get(name);
    if (found) return found;
    // What stands on itself leads nowhere: no machine has it, but whoever sends an inventory may write it.
    known.set(name, []);
    const each = byName.get(name);
    const ways = each ? find(each) : [];
    known.set(name, ways);
    return ways;
  };
  const find = (each: NetworkInterface): Way[] => {
    const { name, kind, bridge, bond, vlan } = each;
    const isNamed = InterfaceName.safeParse(name).success;
    if (kind === "bridge" && bridge) return [...new Set(bridge.members.flatMap(waysOutOf))];
    if (kind === "vlan" && vlan) {
      const below = waysOutOf(vlan.parent);
      const [parent] = below;
      if (!parent || below.length > 1) return below;
      const made = { ...each, addresses: [], vlan: { ...vlan, parent: parent.made.name } };
      const isPossible = isNamed && VlanId.safeParse(vlan.id).success && parent.isPossible;
      return [{ made, standsOn: [parent], isPossible }];
    }
    if (kind === "bond" && bond) {
      const members = bond.members.flatMap(waysOutOf).filter(({ made }) => made.kind === "ethernet");
      if (members.length === 0) return [];
      const ports = members.filter(({ isPossible }) => isPossible);
      const names = ports.map(({ made }) => made.name);
      const made = { ...each, addresses: [], bond: { ...bond, members: names } };
      return [{ made, standsOn: ports, isPossible: isNamed && ports.length > 0 }];
    }
    if (kind !== "ethernet") return [];
    const isPossible = isNamed && MacAddress.safeParse(hardwareAddressOf(each)).success;
    return [{ made: { ...each, addresses: [] }, standsOn: [], isPossible }];
  };
  return waysOutOf;
}

/** With all that it stands on, which comes first. */
function need(way: Way, needed: Set<Way>): void {
  for (const below of way.standsOn) need(below, needed);
  needed.add(way);
}

function whyLost({ name, kind }: NetworkInterface, ways: Way[], routes: NetworkRoute[]): string | undefined {
  if (ways.length === 1) return "cannot be set up in the boot environment";
  if (ways.length > 1) {
    const ports = ways.map(({ made }) => made.name).join(" and ");
    return `leads out of the machine by ${ports}, and the boot environment makes no bridges`;
  }
  // Guests and containers have such bridges among themselves. What leads out without a cable is a matter for another rule.
  const isUplink = routes.some(({ destination, device }) => destination === "default" && device === name);
  return kind === "bridge" && isUplink
    ? "has the default route, and leads to no port of the machine"
    : undefined;
}
