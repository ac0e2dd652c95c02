/** Internet addresses, and the hosts of URLs. */
import { BlockList, isIP, SocketAddress } from "node:net";

export const LOOPBACK: BlockList = addressList(["127.0.0.0/8", "::1/128"]);

/** `ranges`: in CIDR notation. */
export function addressList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", bits] = range.split("/");
    list.addSubnet(network, Number(bits), familyOf(network));
  }
  return list;
}

/** An IPv4 address in the notation of IPv6 is judged as that IPv4 address. Throws for what is no address. */
export function holdsAddress(list: BlockList, address: string): boolean {
  return list.check(address, familyOf(address));
}

export function isAddress(text: string): boolean {
  return isIP(text) > 0;
}

/** In the one notation that the system writes: lower case, zeros left out. Throws for what is no address. */
export function canonicalAddress(address: string): string {
  return new SocketAddress({ address, family: familyOf(address) }).address;
}

/** Whether both are addresses, and of one family. */
export function isSameFamily(one: string, other: string): boolean {
  return isIP(one) > 0 && isIP(one) === isIP(other);
}

/** Whether two notations mean the same address. */
export function isSameAddress(one: string, other: string): boolean {
  return isInSubnet(other, { address: one, prefixLength: isIP(one) === 6 ? 128 : 32 });
}

/** Whether an address is in the subnet of another one. None is, if that is no subnet of its family. */
export function isInSubnet(one: string, of: { address: string; prefixLength: number }): boolean {
  const { address, prefixLength } = of;
  const isOfFamily = isIP(one) > 0 && isIP(one) === isIP(address);
  const isSubnet = prefixLength > 0 && prefixLength <= (isIP(address) === 6 ? 128 : 32);
  return isOfFamily && isSubnet && holdsAddress(addressList([`${address}/${prefixLength}`]), one);
}

/**
 * Whether an address is none that a machine of its subnet can have: the first one, and for IPv4 the last one.
 * Subnets of one or two addresses have no such.
 */
export function endOfSubnet(address: string, prefixLength: number): "network" | "broadcast" | undefined {
  const width = isIP(address) === 6 ? 128 : 32;
  if (width - prefixLength < 2) return undefined;
  const hostBits = bitsOf(address).slice(prefixLength);
  if (!hostBits.includes("1")) return "network";
  return width === 32 && !hostBits.includes("0") ? "broadcast" : undefined;
}

/** A digit for each bit. */
function bitsOf(address: string): string {
  if (isIP(address) === 4)
    return address
      .split(".")
      .map((byte) => Number(byte).toString(2).padStart(8, "0"))
      .join("");
  const [before = [], after = []] = canonicalAddress(address)
    .split("::")
    .map((half) => half.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after]
    .map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("");
}

/** The name or the address, without the brackets of IPv6. */
export function hostOf({ hostname }: Pick<URL, "hostname">): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

/** Why a URL is not one that others may see and a server gets; `undefined` if it is. */
export function hiddenPartProblem({ username, password, hash }: URL): string | undefined {
  if (username || password) return "a name or password in the URL would be shown to every operator";
  return hash ? "the part after # is never sent" : undefined;
}

/** Of an address. */
export function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
