/** Which URLs and addresses a webhook may have, so that it reaches only what its operator meant. */
import { BlockList, isIP } from "node:net";

export interface AddressRules {
  /** On AWS, a function's loopback interface has only the service that runs it. */
  allowLoopback: boolean;
  allowPrivate: boolean;
}

const loopback = listOf(["127.0.0.0/8", "::1/128"]);
const privateUse = listOf(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]);
/**
 * Link-local (the metadata services of clouds are there), unspecified, multicast, reserved and documentation
 * addresses (https://www.iana.org/assignments/iana-ipv4-special-registry), and IPv6 addresses that stand for
 * IPv4 ones.
 */
const never = listOf([
  "0.0.0.0/8",
  "169.254.0.0/16",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
]);
const globalIpv6 = listOf(["2000::/3"]);

/** Why this URL cannot be a webhook; `undefined` if it can. A name's addresses are checked at each use. */
export function findUrlProblem(text: string, rules: AddressRules): string | undefined {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) return "not a URL that begins with https://";
  if (url.username || url.password) return "a name or password in the URL would be shown to every operator";
  if (url.hash) return "the part after # is never sent";
  const host = hostOf(url);
  const isLoopback = host === "localhost" || (isIP(host) > 0 && holds(loopback, host));
  if (url.protocol === "http:" && !isLoopback) return "only https, except for a loopback address";
  if (isLoopback)
    return rules.allowLoopback ? undefined : "a loopback address is that of the function itself";
  return isIP(host) > 0 ? findAddressProblem(host, rules) : undefined;
}

/** Why no connection to this address is made; `undefined` if it may be. */
export function findAddressProblem(address: string, rules: AddressRules): string | undefined {
  if (holds(loopback, address)) return rules.allowLoopback ? undefined : `${address} is a loopback address`;
  if (holds(privateUse, address))
    return rules.allowPrivate
      ? undefined
      : `${address} is a private address: set the webhook with --allow-private`;
  const isOther = isIP(address) === 6 && !isMapped(address) && !holds(globalIpv6, address);
  return isOther || holds(never, address) ? `${address} is not an address of a public service` : undefined;
}

/** Without the brackets of an IPv6 address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** An IPv4 address in the notation of IPv6; `BlockList` judges it by its IPv4 rules. */
function isMapped(address: string): boolean {
  return /^::ffff:/i.test(address);
}

function holds(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", bits] = range.split("/");
    list.addSubnet(network, Number(bits), isIP(network) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
