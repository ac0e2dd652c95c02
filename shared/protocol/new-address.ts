/** Addresses that an adapted system gets in place of those that its source has. */
import { isIP } from "node:net";
import * as z from "zod";
import {
  addressList,
  canonicalAddress,
  endOfSubnet,
  holdsAddress,
  isInSubnet,
  isSameAddress,
  LOOPBACK,
} from "../addresses.ts";

export const MOST_NEW_ADDRESSES = 32;
/** As many as the C library asks. */
const MOST_NAME_SERVERS = 3;

/** Files are named by it, and commands have it. */
const NamedInterface = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/, "the name of an interface, such as eth0");

/** Unspecified, multicast, reserved. */
const OF_NO_MACHINE = addressList(["0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8"]);
/** Each interface makes one of these by itself. */
const LINK_LOCAL = addressList(["fe80::/10"]);

/** An address in its one notation: IPv6 in lower case, with its zeros left out. */
export const UnicastAddress = z
  .string()
  .max(45)
  .refine((text) => notationProblem(text) === undefined, {
    error: ({ input }) => notationProblem(String(input)),
    // What is no address fits no other one, either.
    abort: true,
  });

/** What one interface of the system gets. Which addresses fit each other is for `NewAddress` to say. */
const parts = z.strictObject({
  /** Of the system, as on its source: an adapted system keeps the names of its ports. */
  interface: NamedInterface,
  address: UnicastAddress,
  prefixLength: z.int().min(1).max(128),
  /** Of the default route. If absent, the source's gateway stays if it is in the new subnet. */
  gateway: UnicastAddress.optional(),
  /** The gateway is on the interface's link although it is outside the subnet. */
  gatewayOnLink: z.literal(true).optional(),
  /** If there are none, the source's stay. */
  nameServers: z.array(UnicastAddress).max(MOST_NAME_SERVERS).default([]),
});

const requireFitting = (one: z.infer<typeof parts>, context: z.RefinementCtx): void => {
  const problem = subnetProblem(one) ?? gatewayProblem(one);
  if (problem) context.addIssue({ code: "custom", ...problem });
};

/** One address of one interface: IPv4 or IPv6. */
export const NewAddress = parts.superRefine(requireFitting);
export type NewAddress = z.infer<typeof NewAddress>;

export const NewAddresses = z
  .array(NewAddress)
  .max(MOST_NEW_ADDRESSES)
  .superRefine((all, context) => {
    for (const [index, one] of all.entries()) {
      const message = repetitionProblem(one, all.slice(0, index));
      if (message !== undefined) context.addIssue({ code: "custom", path: [index], message });
    }
  });

/** With what the system has until then: the target host changes exactly that. */
export const SystemAddress = parts
  .extend({
    /** The source's address whose place it takes; absent if the interface has none of this family. */
    instead: z
      .strictObject({
        address: UnicastAddress,
        prefixLength: z.int().min(1).max(128),
        /** DHCP gave it, perhaps with more than an address. */
        isLeased: z.literal(true).optional(),
      })
      .optional(),
  })
  .superRefine(requireFitting);
export type SystemAddress = z.infer<typeof SystemAddress>;

/** Addresses whose place others take. */
export const FormerAddresses = z.array(UnicastAddress).min(1).max(MOST_NEW_ADDRESSES);

interface Problem {
  path: (string | number)[];
  message: string;
}

function notationProblem(text: string): string | undefined {
  if (isIP(text) === 0 || text.includes("%")) return `${text} is not an internet address`;
  const canonical = canonicalAddress(text);
  if (canonical !== text) return `${text} is written as ${canonical}`;
  const isMapped = isIP(text) === 6 && text.includes(".");
  return isMapped || holdsAddress(OF_NO_MACHINE, text)
    ? `${text} is not the address of one machine`
    : undefined;
}

function subnetProblem({ address, prefixLength }: NewAddress): Problem | undefined {
  const isLong = isIP(address) === 4 && prefixLength > 32;
  if (isLong) return { path: ["prefixLength"], message: "an IPv4 prefix has at most 32 bits" };
  if (holdsAddress(LOOPBACK, address))
    return { path: ["address"], message: `${address} is a loopback address` };
  if (holdsAddress(LINK_LOCAL, address))
    return { path: ["address"], message: `${address} is link-local: an interface makes one by itself` };
  const end = endOfSubnet(address, prefixLength);
  if (end) return { path: ["address"], message: `${address} is the ${end} address of its subnet` };
  return undefined;
}

function gatewayProblem({ address, prefixLength, gateway, gatewayOnLink }: NewAddress): Problem | undefined {
  const path = ["gateway"];
  if (gateway === undefined)
    return gatewayOnLink ? { path: ["gatewayOnLink"], message: "there is no gateway" } : undefined;
  if (isIP(gateway) !== isIP(address))
    return { path, message: `${gateway} and ${address} are of different families` };
  if (isSameAddress(gateway, address)) return { path, message: `${gateway} is the interface's own address` };
  if (holdsAddress(LOOPBACK, gateway)) return { path, message: `${gateway} is a loopback address` };
  if (!isReachableGateway(gateway, { address, prefixLength })) {
    if (gatewayOnLink) return undefined;
    const message = `${gateway} is outside ${address}/${prefixLength}; if the interface's link reaches it all the same, say so (on-link)`;
    return { path, message };
  }
  const end = endOfSubnet(gateway, prefixLength);
  // A router may have the address that all routers of an IPv6 subnet share.
  return end && isIP(gateway) === 4
    ? { path, message: `${gateway} is the ${end} address of its subnet` }
    : undefined;
}

function repetitionProblem(one: NewAddress, earlier: readonly NewAddress[]): string | undefined {
  const { interface: name, address } = one;
  if (earlier.some((other) => isSameAddress(other.address, address))) return `${address} is named twice`;
  const isSecond = earlier.some((other) => other.interface === name && isIP(other.address) === isIP(address));
  return isSecond ? `${name} gets one address of each family` : undefined;
}

/** Whether the interface reaches a gateway: in its subnet, or by a link-local address. */
export function isReachableGateway(
  gateway: string,
  subnet: Pick<NewAddress, "address" | "prefixLength">,
): boolean {
  if (isIP(gateway) !== isIP(subnet.address)) return false;
  return isInSubnet(gateway, subnet) || holdsAddress(LINK_LOCAL, gateway);
}

/** For people: `192.0.2.20/24 by 192.0.2.1`. */
export function newAddressText({ address, prefixLength, gateway }: Omit<SystemAddress, "interface">): string {
  return `${address}/${prefixLength}${gateway === undefined ? "" : ` by ${gateway}`}`;
}
