/** The ports, bonds and VLANs by which a machine's interfaces lead out of it. */
import * as z from "zod";
import type { NetworkInterface } from "../protocol/inventory.ts";
import { hardwareAddressOf } from "./hardware-address.ts";

export const InterfaceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/);
/** A unicast address, not one of a multicast group. */
export const MacAddress = z.string().regex(/^(?!00(:00){5}$)[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/);
export const VlanId = z.int().min(1).max(4094);

/** A port, bond or VLAN that leads out of the machine. */
export interface Way {
  /** The interface that the boot environment has to make, at first without addresses. */
  made: NetworkInterface;
  runsOver: Way[];
  isPossible: boolean;
}

/** A member of one of these is a part of it; a member of any other interface has no network of its own. */
const CARRIERS: readonly NetworkInterface["kind"][] = ["bond", "bridge"];

/**
 * Returns a function that finds the ways by which a named interface leads out of the machine: several for a
 * bridge of several ports, none for a bridge of guests only, and none for a port that belongs to a VRF, a
 * team or Open vSwitch.
 */
export function findWaysOut(interfaces: NetworkInterface[]): (name: string) => Way[] {
  const byName = new Map(interfaces.map((each) => [each.name, each]));
  const known = new Map<string, Way[]>();
  const waysOutOf = (name: string): Way[] => {
    const found = known.get(name);
    if (found) return found;
    // An interface on top of itself leads nowhere. No machine has one, but an inventory can claim it.
    known.set(name, []);
    const each = byName.get(name);
    const ways = each ? find(each) : [];
    known.set(name, ways);
    return ways;
  };
  const find = (each: NetworkInterface): Way[] => {
    const { name, kind, bridge, bond, vlan, master } = each;
    const isNamed = InterfaceName.safeParse(name).success;
    const carrier = master === undefined ? undefined : byName.get(master);
    // In a virtual machine, the carrier of a fast port can be a synthetic port, which is an Ethernet port.
    const isCarried = carrier && (CARRIERS.includes(carrier.kind) || carrier.kind === "ethernet");
    if (master !== undefined && !isCarried) return [];
    if (kind === "bridge" && bridge) return [...new Set(bridge.members.flatMap(waysOutOf))];
    if (kind === "vlan" && vlan) {
      const below = waysOutOf(vlan.parent);
      const [parent] = below;
      if (!parent || below.length > 1) return below;
      const made = { ...each, addresses: [], vlan: { ...vlan, parent: parent.made.name } };
      const isPossible = isNamed && VlanId.safeParse(vlan.id).success && parent.isPossible;
      return [{ made, runsOver: [parent], isPossible }];
    }
    if (kind === "bond" && bond) {
      const members = bond.members.flatMap(waysOutOf).filter(({ made }) => made.kind === "ethernet");
      if (members.length === 0) return [];
      const ports = members.filter(({ isPossible }) => isPossible);
      const names = ports.map(({ made }) => made.name);
      const made = { ...each, addresses: [], bond: { ...bond, members: names } };
      return [{ made, runsOver: ports, isPossible: isNamed && ports.length > 0 }];
    }
    if (kind !== "ethernet") return [];
    const own = hardwareAddressOf(each);
    const isPossible = isNamed && MacAddress.safeParse(own).success && !hasTwin(each, interfaces);
    return [{ made: { ...each, addresses: [] }, runsOver: [], isPossible }];
  };
  return waysOutOf;
}

/** Whether an unrelated port has the same hardware address. */
function hasTwin(port: NetworkInterface, interfaces: readonly NetworkInterface[]): boolean {
  return interfaces.some(
    (other) =>
      other !== port &&
      other.kind === "ethernet" &&
      hardwareAddressOf(other) === hardwareAddressOf(port) &&
      other.master !== port.name,
  );
}
