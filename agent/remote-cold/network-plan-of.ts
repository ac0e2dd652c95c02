import { isIPv6 } from "node:net";
import { bootEnvironmentNetworkOf } from "#shared/domain/boot-environment-network.ts";
import { hardwareAddressOf } from "#shared/domain/hardware-address.ts";
import type { Inventory, NetworkInterface, NetworkRoute } from "#shared/protocol/inventory.ts";
import {
  BondMode,
  IpAddress,
  MtuBytes,
  type NetworkPlan,
  PlannedRoute,
  SearchDomain,
} from "../boot-image/network-plan.ts";

type Addressing = Pick<NetworkPlan["ports"][number], "name" | "dhcp" | "addresses" | "routes" | "mtuBytes">;

/**
 * The source's network as its boot environment is to have it: ports found by their hardware address, bonds, VLANs, static addresses and DNS, DHCP
 * where the source uses it. What a plan cannot say is left out; preflight has told of the addresses among it. Nothing if no port has an address
 * or carries one: the boot environment then tries DHCP on all of them.
 */
export function networkPlanOf({ network }: Pick<Inventory, "network">): NetworkPlan | undefined {
  const { interfaces, routes } = bootEnvironmentNetworkOf(network);
  if (interfaces.length === 0) return undefined;
  return {
    ports: interfaces.flatMap((each) => {
      const macAddress = hardwareAddressOf(each);
      return each.kind === "ethernet" && macAddress ? [{ ...addressing(each, routes), macAddress }] : [];
    }),
    bonds: interfaces.flatMap((each) =>
      each.kind === "bond" && each.bond
        ? [{ ...addressing(each, routes), mode: bondMode(each.bond.mode), ports: each.bond.members }]
        : [],
    ),
    vlans: interfaces.flatMap((each) =>
      each.kind === "vlan" && each.vlan
        ? [{ ...addressing(each, routes), link: each.vlan.parent, id: each.vlan.id }]
        : [],
    ),
    nameservers: network.dns.servers.filter(isReachableServer),
    searchDomains: network.dns.search
      // `.` where there is none, or the end of a whole name.
      .map((domain) => domain.replace(/\.$/, ""))
      .filter((domain) => SearchDomain.safeParse(domain).success),
  };
}

function addressing({ name, addresses, mtuBytes }: NetworkInterface, routes: NetworkRoute[]): Addressing {
  const dhcp = addresses.some(({ family, dynamic }) => family === "ipv4" && dynamic);
  return {
    name,
    dhcp,
    mtuBytes: MtuBytes.safeParse(mtuBytes).data,
    // A lease is asked for again.
    addresses: addresses
      .filter(({ dynamic }) => !dynamic)
      .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    // With DHCP the routes come with the lease.
    routes: dhcp ? [] : routes.filter(({ device }) => device === name).flatMap(plannedRoute),
  };
}

/** Nothing for a route without a gateway: it comes with an address. */
function plannedRoute({ destination, gateway, metric }: NetworkRoute): PlannedRoute[] {
  const isWhole = destination === "default" || destination.includes("/");
  const to = isWhole ? destination : `${destination}/${isIPv6(destination) ? 128 : 32}`;
  const { data } = PlannedRoute.safeParse({ to, via: gateway, metric });
  return data ? [data] : [];
}

/** Neither one on the machine itself, which does not run in the boot environment, nor one that only counts on a certain link. */
function isReachableServer(server: string): boolean {
  return (
    IpAddress.safeParse(server).success &&
    !server.startsWith("127.") &&
    server !== "::1" &&
    !server.startsWith("fe80:")
  );
}

function bondMode(mode: string): BondMode {
  // The one that needs nothing of the switch.
  return BondMode.safeParse(mode).data ?? "active-backup";
}
