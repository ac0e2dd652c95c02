/**
 * Whether the boot environment can reach the control plane the way the source does. An unknown outcome fails.
 */
import { type Inventory, UNKNOWN } from "../../protocol/inventory.ts";
import { bootEnvironmentNetworkOf, type LostPath } from "../boot-environment-network.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./rule.ts";

const NETWORK_UNKNOWN = new Unknown("how the source is connected to the network is not known");

const OTHERWISE =
  "convert this machine hot, or start it by hand from the boot image's ISO or over the network, where it gets an address by DHCP";

export const reachRules: readonly PreflightRule[] = [
  {
    id: "network-addresses",
    severity: "fail",
    whenUnknown: "fail",
    holds: "the boot environment can reach the control plane the way the source does",
    check: ofNetwork((network) => {
      if (network.interfaces.length === 0) return NETWORK_UNKNOWN;
      if (!network.reach)
        return new Unknown("the source's agent does not say how it reaches the control plane");
      const { unreached, paths } = network.reach;
      if (paths.length === 0 && unreached.length === 0)
        return new Unknown("how the source reaches the control plane is not known");
      return [...unreached, ...lost(network, "way")].join("; ") || undefined;
    }),
    remedy: `Update the agent if it does not say how it reaches the control plane. Make the source reach it from an address of an Ethernet port, bond or VLAN, over IPv4 or from an IPv6 address that DHCPv6 did not assign; else ${OTHERWISE}.`,
  },
  {
    id: "network-own-address",
    severity: "fail",
    whenUnknown: "fail",
    holds: "the boot environment's address is the source's own",
    check: ofNetwork((network) => lost(network, "cluster").join("; ") || undefined),
    remedy: `Give the machine an address of its own from which it reaches the control plane, and set it as the route's source address; else ${OTHERWISE}.`,
  },
  {
    id: "network-address-named",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source's network configuration names the boot environment's address",
    check: ofNetwork((network) => {
      const doubts = lost(network, "doubtful");
      return doubts.length > 0 ? new Unknown(doubts.join("; ")) : undefined;
    }),
    remedy: `Name the address in the machine's network configuration, if no other machine can have it while this one is cloned; else ${OTHERWISE}.`,
  },
  {
    id: "network-name-servers",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the boot environment can resolve the control plane's names",
    check: ofNetwork((network) => network.reach?.resolverProblem),
    remedy: `Name the servers behind the machine's own resolver in its /etc/resolv.conf, or the control plane's hosts in /etc/hosts; else ${OTHERWISE}.`,
  },
  {
    id: "network-admission",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "nothing between the source and the control plane needs a login, proxy or namespace",
    check: ofNetwork((network) => {
      const ports = new Set(bootEnvironmentNetworkOf(network).interfaces.map(({ name }) => name));
      const found = network.reach?.obstacles.filter(
        ({ device }) => device === undefined || ports.has(device),
      );
      return found?.map(({ message }) => message).join("; ") || undefined;
    }),
    remedy: `Exempt the port from 802.1X or the machine from the proxy for the time of the conversion, or run the agent in the machine's own network; else ${OTHERWISE}.`,
  },
  {
    id: "network-dhcp-identity",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the boot environment can ask for a lease with the source's DHCP identity",
    check: ofNetwork((network) => {
      const unknown = bootEnvironmentNetworkOf(network).interfaces.filter(
        ({ addresses, dhcpClientId = UNKNOWN }) =>
          addresses.some(({ origin }) => origin === "lease") && dhcpClientId === UNKNOWN,
      );
      return unknown.length > 0
        ? new Unknown(
            `the DHCP identity of ${unknown.map(({ name }) => name).join(", ")} is not known: the boot environment may get another address`,
          )
        : undefined;
    }),
    remedy: `Give the machine a static address, or a DHCP client whose identity is known: systemd-networkd, NetworkManager, dhclient or udhcpc; else ${OTHERWISE}.`,
  },
  {
    id: "network-rehearsed",
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source can rehearse the boot environment's network before it is armed",
    check: ofNetwork(({ reach }) =>
      reach?.canRehearse
        ? undefined
        : new Unknown(
            "the source cannot make network namespaces with `veth` ports, which the rehearsal needs",
          ),
    ),
    remedy: `Run the agent as root with util-linux and iproute2, on a kernel with network namespaces and veth ports; else ${OTHERWISE}.`,
  },
];

function lost(network: Inventory["network"], kind: LostPath["kind"]): string[] {
  return bootEnvironmentNetworkOf(network)
    .lost.filter((each) => each.kind === kind)
    .map(({ message }) => message);
}

function ofNetwork(
  check: (network: Inventory["network"]) => ReturnType<PreflightRule["check"]>,
): PreflightRule["check"] {
  return ({ source }: PreflightFacts) => {
    const network = source.inventory?.network;
    return network ? check(network) : NETWORK_UNKNOWN;
  };
}
