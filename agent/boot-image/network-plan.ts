import { z } from "zod";

/** Where the boot environment reads its network plan; DHCP on every port if it is not there. */
export const NETWORK_PLAN_FILE = "network";

const interfaceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/);
const macAddress = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
const ipAddress = z.union([z.ipv4(), z.ipv6()]);
const cidr = z.union([z.cidrv4(), z.cidrv6()]);
const domain = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/);

/** What one interface has of its own, whatever kind it is. */
const addressing = {
  name: interfaceName,
  mtuBytes: z.int().min(68).max(65535).optional(),
  dhcp: z.boolean().default(false),
  /** With prefix lengths. */
  addresses: z.array(cidr).default([]),
  routes: z.array(z.object({ to: z.union([z.literal("default"), cidr]), via: ipAddress })).default([]),
};

/** The network of a source server, as its boot environment is to have it. Names are the source's; ports are found by hardware address. */
export const networkPlan = z.object({
  ports: z.array(z.object({ ...addressing, macAddress })).min(1),
  bonds: z
    .array(
      z.object({
        ...addressing,
        mode: z.enum([
          "balance-rr",
          "active-backup",
          "balance-xor",
          "broadcast",
          "802.3ad",
          "balance-tlb",
          "balance-alb",
        ]),
        monitorMs: z.int().min(1).max(10_000).default(100),
        ports: z.array(interfaceName).min(1),
      }),
    )
    .default([]),
  vlans: z.array(z.object({ ...addressing, link: interfaceName, id: z.int().min(1).max(4094) })).default([]),
  nameservers: z.array(ipAddress).default([]),
  searchDomains: z.array(domain).default([]),
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
    ...routes.map(({ to, via }) => `route ${name} ${to} ${via}`),
    ...(dhcp ? [`dhcp ${name}`] : []),
  ];
}
