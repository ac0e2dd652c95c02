import { isIP } from "node:net";
import { bootEnvironmentNetworkOf, type NeededRoute } from "#shared/domain/boot-environment-network.ts";
import { hardwareAddressOf } from "#shared/domain/hardware-address.ts";
import { MacAddress } from "#shared/domain/ways-out.ts";
import { type Inventory, type NetworkInterface, UNKNOWN } from "#shared/protocol/inventory.ts";
import {
  BondMode,
  HostName,
  IpAddress,
  MtuBytes,
  type NetworkPlan,
  PlannedRoute,
  SearchDomain,
} from "../boot-image/network-plan.ts";

type Addressing = Pick<
  NetworkPlan["ports"][number],
  "name" | "setMacAddress" | "dhcp" | "addresses" | "routes" | "mtuBytes"
>;

/**
 * The network that a source's boot environment gets: the ports, bonds and VLANs over which the source reaches
 * the control plane, the source addresses for that, routes, name servers and hosts, and DHCP with the same
 * identity if the source has a lease. `undefined` if there is nothing to carry: the boot environment then
 * tries DHCP on all ports. Preflight fails for what is needed and cannot be carried.
 */
export function networkPlanOf({ network }: Pick<Inventory, "network">): NetworkPlan | undefined {
  const { interfaces, routes, routedByLease } = bootEnvironmentNetworkOf(network);
  const members = new Set(interfaces.flatMap(({ bond }) => bond?.members ?? []));
  const addressing = (each: NetworkInterface): Addressing => ({
    ...addressingOf(each, routes, routedByLease),
    ...(members.has(each.name) ? {} : addressToSet(each, interfaces)),
  });
  const ports = interfaces.flatMap((each) => {
    const macAddress = hardwareAddressOf(each);
    return each.kind === "ethernet" && macAddress ? [{ ...addressing(each), macAddress }] : [];
  });
  if (ports.length === 0) return undefined;
  return {
    ports,
    bonds: interfaces.flatMap((each) =>
      each.kind === "bond" && each.bond
        ? [{ ...addressing(each), mode: bondMode(each.bond.mode), ports: each.bond.members }]
        : [],
    ),
    vlans: interfaces.flatMap((each) =>
      each.kind === "vlan" && each.vlan
        ? [{ ...addressing(each), link: each.vlan.parent, id: each.vlan.id }]
        : [],
    ),
    nameservers: network.dns.servers.filter(isReachableServer),
    searchDomains: network.dns.search
      // `.` means that there is none, or ends a complete name.
      .map((domain) => domain.replace(/\.$/, ""))
      .filter((domain) => SearchDomain.safeParse(domain).success),
    hosts: (network.reach?.hosts ?? []).filter(
      ({ address, name }) => IpAddress.safeParse(address).success && HostName.safeParse(name).success,
    ),
  };
}

function addressingOf(
  { name, addresses, mtuBytes, dhcpClientId }: NetworkInterface,
  routes: readonly NeededRoute[],
  routedByLease: readonly string[],
): Addressing {
  const isLeased = addresses.some(({ origin }) => origin === "lease");
  const clientId = dhcpClientId === UNKNOWN ? undefined : dhcpClientId;
  return {
    name,
    mtuBytes: MtuBytes.safeParse(mtuBytes).data,
    ...(isLeased && {
      dhcp: { routes: routedByLease.includes(name), ...(clientId !== undefined && { clientId }) },
    }),
    // A lease is requested again.
    addresses: addresses
      .filter(({ origin }) => origin !== "lease")
      .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    routes: routes.filter(({ device }) => device === name).flatMap(plannedRoute),
  };
}

function plannedRoute({ family, destination, gateway, metric, source }: NeededRoute): PlannedRoute[] {
  const to =
    destination === "default" || destination.includes("/")
      ? destination
      : `${destination}/${isIP(destination) === 6 ? 128 : 32}`;
  const route = { family, to, via: gateway, metric, from: source };
  return PlannedRoute.safeParse(route).success ? [route] : [];
}

/** The hardware address of the interface, if it would not have it by itself. */
function addressToSet(
  each: NetworkInterface,
  interfaces: readonly NetworkInterface[],
): Pick<Addressing, "setMacAddress"> {
  const { kind, macAddress, vlan } = each;
  const parent = interfaces.find(({ name }) => name === vlan?.parent);
  const own = kind === "vlan" ? parent?.macAddress : kind === "bond" ? undefined : hardwareAddressOf(each);
  const setMacAddress = MacAddress.safeParse(macAddress).data;
  return setMacAddress === undefined || setMacAddress === own ? {} : { setMacAddress };
}

/**
 * Excludes a server on the machine itself, which does not run in the boot environment, and one that is valid
 * only on a certain link.
 */
function isReachableServer(server: string): boolean {
  return (
    IpAddress.safeParse(server).success &&
    !server.startsWith("127.") &&
    server !== "::1" &&
    !server.startsWith("fe80:")
  );
}

function bondMode(mode: string): BondMode {
  // The mode that needs nothing from the switch.
  return BondMode.safeParse(mode).data ?? "active-backup";
}
