import { z } from "zod";
import {
  InterfaceName,
  MacAddress,
  NetworkAddress,
  VlanId,
} from "#shared/domain/boot-environment-network.ts";

/** Where the boot environment reads its network plan; DHCP on every port if it is not there. */
export const NETWORK_PLAN_FILE = "network";

/** Without a scope: the boot environment's ports may have other names. */
export const IpAddress = z.union([z.ipv4(), z.ipv6()]);
/** An underscore is not a host's, but names of Windows domains have it. */
export const SearchDomain = z.string().regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/);
export const MtuBytes = z.int().min(68).max(65535);
export const BondMode = z.enum([
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
]);
export type BondMode = z.infer<typeof BondMode>;
export const PlannedRoute = z.object({
  to: z.union([z.literal("default"), NetworkAddress]),
  via: IpAddress,
  /** The lowest counts; the kernel's own where it is absent. */
  metric: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional(),
});
export type PlannedRoute = z.infer<typeof PlannedRoute>;

/** What one interface has of its own, whatever kind it is. */
const addressing = {
  name: InterfaceName,
  mtuBytes: MtuBytes.optional(),
  dhcp: z.boolean().default(false),
  /** With prefix lengths. */
  addresses: z.array(NetworkAddress).default([]),
  routes: z.array(PlannedRoute).default([]),
};

/** The network of a source server, as its boot environment is to have it. Names are the source's; ports are found by hardware address. */
export const networkPlan = z.object({
  ports: z.array(z.object({ ...addressing, macAddress: MacAddress })).min(1),
  bonds: z
    .array(
      z.object({
        ...addressing,
        mode: BondMode,
        monitorMs: z.int().min(1).max(10_000).default(100),
        ports: z.array(InterfaceName).min(1),
      }),
    )
    .default([]),
  vlans: z.array(z.object({ ...addressing, link: InterfaceName, id: VlanId })).default([]),
  nameservers: z.array(IpAddress).default([]),
  searchDomains: z.array(SearchDomain).default([]),
});
export type NetworkPlan = z.input<typeof networkPlan>;

/**
 * The plan as the boot environment's shell reads it: one word and its arguments on each line, in an order in which everything exists before it is
 * used. Nothing but what the schema allows gets into it; throws `ZodError` otherwise.
 */
export function formatNetworkPlan(plan: NetworkPlan): string {
  const { ports, bonds, vlans, nameservers, searchDomains } = networkPlan.parse(plan);
  const lines = [
    ...ports.map(({ name, macAddress }) => `port ${name} ${macAddress}`),
    ...bonds.map(
      ({ name, mode, monitorMs, ports: members }) => `bond ${name} ${mode} ${monitorMs} ${members.join(",")}`,
    ),
    ...[...ports, ...bonds].flatMap(mtuLines),
    ...vlans.map(({ name, link, id }) => `vlan ${name} ${link} ${id}`),
    ...vlans.flatMap(mtuLines),
    ...[...ports, ...bonds, ...vlans].flatMap(addressLines),
    ...nameservers.map((server) => `nameserver ${server}`),
    // A resolver takes only the last of several lines.
    ...(searchDomains.length > 0 ? [`search ${searchDomains.join(" ")}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

type Addressed = Pick<z.output<typeof networkPlan>["ports"][number], keyof typeof addressing>;

function mtuLines({ name, mtuBytes }: Addressed): string[] {
  return mtuBytes === undefined ? [] : [`mtu ${name} ${mtuBytes}`];
}

function addressLines({ name, dhcp, addresses, routes }: Addressed): string[] {
  return [
    ...addresses.map((address) => `address ${name} ${address}`),
    ...routes.map(
      ({ to, via, metric }) => `route ${name} ${to} ${via}${metric === undefined ? "" : ` ${metric}`}`,
    ),
    ...(dhcp ? [`dhcp ${name}`] : []),
  ];
}
