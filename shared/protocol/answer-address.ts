/** Which addresses can be a machine's, seen from its target host. */
import { BlockList, isIP } from "node:net";

const loopback = listOf(["127.0.0.0/8", "::1/128"]);
/**
 * Link-local (the metadata services of clouds are there), unspecified, multicast, reserved
 * (https://www.iana.org/assignments/iana-ipv4-special-registry).
 */
const never = listOf(["0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8"]);

/** Why no machine can have this address; `undefined` if one can, or if it is a name. */
export function answerAddressProblem(host: string): string | undefined {
  if (host === "localhost" || holds(loopback, host)) return `${host} is the target host itself`;
  return holds(never, host) ? `${host} is not the address of a machine` : undefined;
}

/** An IPv4 address in the notation of IPv6 is judged as that IPv4 address. */
function holds(list: BlockList, host: string): boolean {
  const version = isIP(host);
  return version > 0 && list.check(host, version === 6 ? "ipv6" : "ipv4");
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", bits] = range.split("/");
    list.addSubnet(network, Number(bits), isIP(network) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
