import { isIPv6 } from "node:net";
import * as z from "zod";
import { NetworkAddress } from "#shared/domain/boot-environment-network.ts";
import { InterfaceName, MacAddress, VlanId } from "#shared/domain/ways-out.ts";

/** The file with the boot environment's network plan; if it is missing, DHCP on every port. */
export const NETWORK_PLAN_FILE = "network";

/** Without a scope, because the boot environment's ports can have other names. */
export const IpAddress = z.union([z.ipv4(), z.ipv6()]);
/** Host names have no underscore, but names of Windows domains can. */
export const SearchDomain = z.string().regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/);
export const HostName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/);
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
  family: z.enum(["ipv4", "ipv6"]).default("ipv4"),
  to: z.union([z.literal("default"), NetworkAddress]),
  /** Absent if the destination is on the link; a route of IPv4 can have an IPv6 router. */
  via: IpAddress.optional(),
  /** The lowest counts; absent for the kernel's default. */
  metric: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional(),
  /** The source address; if absent, the kernel chooses. */
  from: IpAddress.optional(),
});
export type PlannedRoute = z.input<typeof PlannedRoute>;

const Dhcp = z.object({
  /** Whether the lease brings the default route; the plan's own routes apply in either case. */
  routes: z.boolean(),
  /** Option 61 in hexadecimal; `none` to send none. If absent, the DHCP client sends its own. */
  clientId: z.union([z.literal("none"), z.string().regex(/^([0-9a-f]{2}){2,64}$/)]).optional(),
});

/** What every kind of interface can have. */
const addressing = {
  name: InterfaceName,
  mtuBytes: MtuBytes.optional(),
  /** The hardware address to set; if absent, the port keeps its own. */
  setMacAddress: MacAddress.optional(),
  dhcp: Dhcp.optional(),
  /** With prefix lengths. */
  addresses: z.array(NetworkAddress).default([]),
  routes: z.array(PlannedRoute).default([]),
};

/**
 * The network of a source server, as its boot environment must set it up. Ports are found by hardware
 * address.
 */
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
  /** For /etc/hosts. */
  hosts: z.array(z.object({ address: IpAddress, name: HostName })).default([]),
});
export type NetworkPlan = z.input<typeof networkPlan>;

/**
 * The plan for the boot environment's shell: one word and its arguments on each line, in an order in which
 * everything exists before it is used. Contains only what the schema allows; throws `ZodError` otherwise.
 */
export function formatNetworkPlan(plan: NetworkPlan): string {
  const { ports, bonds, vlans, nameservers, searchDomains, hosts } = networkPlan.parse(plan);
  const lines = [
    ...ports.map(({ name, macAddress }) => `port ${name} ${macAddress}`),
    ...bonds.map(
      ({ name, mode, monitorMs, ports: members }) => `bond ${name} ${mode} ${monitorMs} ${members.join(",")}`,
    ),
    ...[...ports, ...bonds].flatMap(linkLines),
    ...vlans.map(({ name, link, id }) => `vlan ${name} ${link} ${id}`),
    ...vlans.flatMap(linkLines),
    ...[...ports, ...bonds, ...vlans].flatMap(addressLines),
    ...nameservers.map((server) => `nameserver ${server}`),
    // A resolver uses only the last of several such lines.
    ...(searchDomains.length > 0 ? [`search ${searchDomains.join(" ")}`] : []),
    ...hosts.map(({ address, name }) => `host ${name} ${address}`),
  ];
  return `${lines.join("\n")}\n`;
}

type Addressed = Pick<z.output<typeof networkPlan>["ports"][number], keyof typeof addressing>;

function linkLines({ name, setMacAddress, mtuBytes }: Addressed): string[] {
  return [
    ...(setMacAddress === undefined ? [] : [`mac ${name} ${setMacAddress}`]),
    ...(mtuBytes === undefined ? [] : [`mtu ${name} ${mtuBytes}`]),
  ];
}

function addressLines({ name, dhcp, addresses, routes }: Addressed): string[] {
  return [
    ...addresses.map((address) => `address ${name} ${address}`),
    ...routes.map((route) => `route ${name} ${routeWords(route)}`),
    ...(dhcp ? [`dhcp ${name} ${dhcp.routes ? "routes" : "no-routes"} ${dhcp.clientId ?? "own-id"}`] : []),
  ];
}

/** As `ip route` takes them, after the family. */
function routeWords({ family, to, via, metric, from }: z.output<typeof PlannedRoute>): string {
  const isOtherFamily = via !== undefined && isIPv6(via) && family === "ipv4";
  return [
    ...[family === "ipv4" ? "4" : "6", to],
    ...(via === undefined ? [] : ["via", ...(isOtherFamily ? ["inet6"] : []), via, "onlink"]),
    ...(metric === undefined ? [] : ["metric", metric]),
    ...(from === undefined ? [] : ["src", from]),
  ].join(" ");
}
