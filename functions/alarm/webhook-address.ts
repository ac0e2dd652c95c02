/** Which URLs and addresses a webhook may have, so that it reaches only what its operator meant. */
import { isIP } from "node:net";
import { addressList, hiddenPartProblem, holdsAddress, hostOf, LOOPBACK } from "#shared/addresses.ts";

export interface AddressRules {
  /** On AWS, a function's loopback interface has only the service that runs it. */
  allowLoopback: boolean;
  allowPrivate: boolean;
}

const privateUse = addressList([
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
]);
/**
 * Link-local (the metadata services of clouds are there), unspecified, multicast, reserved and documentation
 * addresses (https://www.iana.org/assignments/iana-ipv4-special-registry), and IPv6 addresses that stand for
 * IPv4 ones.
 */
const never = addressList([
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
const globalIpv6 = addressList(["2000::/3"]);

/** Why this URL cannot be a webhook; `undefined` if it can. A name's addresses are checked at each use. */
export function findUrlProblem(text: string, rules: AddressRules): string | undefined {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) return "not a URL that begins with https://";
  const hidden = hiddenPartProblem(url);
  if (hidden) return hidden;
  const host = hostOf(url);
  const isLoopback = host === "localhost" || (isIP(host) > 0 && holdsAddress(LOOPBACK, host));
  if (url.protocol === "http:" && !isLoopback) return "only https, except for a loopback address";
  if (isLoopback)
    return rules.allowLoopback ? undefined : "a loopback address is that of the function itself";
  return isIP(host) > 0 ? findAddressProblem(host, rules) : undefined;
}

/** Why no connection to this address is made; `undefined` if it may be. */
export function findAddressProblem(address: string, rules: AddressRules): string | undefined {
  if (holdsAddress(LOOPBACK, address))
    return rules.allowLoopback ? undefined : `${address} is a loopback address`;
  if (holdsAddress(privateUse, address))
    return rules.allowPrivate
      ? undefined
      : `${address} is a private address: set the webhook with --allow-private`;
  const isOther = isIP(address) === 6 && !isMapped(address) && !holdsAddress(globalIpv6, address);
  return isOther || holdsAddress(never, address)
    ? `${address} is not an address of a public service`
    : undefined;
}

/** An IPv4 address in the notation of IPv6; `BlockList` judges it by its IPv4 rules. */
function isMapped(address: string): boolean {
  return /^::ffff:/i.test(address);
}
