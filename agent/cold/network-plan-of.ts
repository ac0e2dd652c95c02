import type { Inventory, NetworkInterface } from "#shared/protocol/inventory.ts";
import type { NetworkPlan } from "../boot-image/network-plan.ts";

type Addressing = Pick<NetworkPlan["ports"][number], "dhcp" | "addresses" | "routes" | "mtuBytes">;

const BOND_MODES = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
] as const;
type BondMode = (typeof BOND_MODES)[number];

/**
 * The source's network as its boot environment is to have it: ports found by their hardware address, bonds, VLANs, static addresses and DNS, DHCP
 * where the source uses it. Nothing if there is no port to reproduce: the boot environment then tries DHCP on all of them.
 */
export function networkPlanOf({ network }: Pick<Inventory, "network">): NetworkPlan | undefined {
  const usable = network.interfaces.filter(({ name }) => name !== "lo");
  const ports = usable.flatMap((each) => {
    const macAddress = each.permanentMacAddress ?? each.macAddress;
    return each.kind === "ethernet" && macAddress
      ? [{ name: each.name, macAddress, ...addressing(each, network) }]
      : [];
  });
  if (ports.length === 0) return undefined;
  const bonds = usable.flatMap((each) =>
    each.bond
      ? [
          {
            name: each.name,
            mode: bondMode(each.bond.mode),
            ports: each.bond.members,
            ...addressing(each, network),
          },
        ]
      : [],
  );
  const vlans = usable.flatMap((each) =>
    each.vlan
      ? [{ name: each.name, link: each.vlan.parent, id: each.vlan.id, ...addressing(each, network) }]
      : [],
  );
  return {
    ports,
    bonds,
    vlans,
    nameservers: network.dns.servers.filter(isReachableServer),
    searchDomains: network.dns.search,
  };
}

function addressing(each: NetworkInterface, network: Inventory["network"]): Addressing {
  const dhcp = each.addresses.some(({ family, dynamic }) => family === "ipv4" && dynamic);
  return {
    dhcp,
    mtuBytes: each.mtuBytes,
    addresses: each.addresses
      // A link-local address makes itself, and a lease is asked for again.
      .filter(({ address, dynamic }) => !dynamic && !address.startsWith("fe80:"))
      .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    // With DHCP the routes come with the lease.
    routes: dhcp
      ? []
      : network.routes.flatMap(({ device, destination, gateway }) =>
          device === each.name && gateway ? [{ to: destination, via: gateway }] : [],
        ),
  };
}

/** A resolver on the machine itself does not run in the boot environment. */
function isReachableServer(server: string): boolean {
  return !server.startsWith("127.") && server !== "::1";
}

function bondMode(mode: string): BondMode {
  const known = BOND_MODES.find((candidate) => candidate === mode);
  // The one that needs nothing of the switch.
  return known ?? "active-backup";
}
