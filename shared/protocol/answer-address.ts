/** Which addresses can be a machine's, seen from its target host. */
import { isIP } from "node:net";
import { addressList, holdsAddress, LOOPBACK } from "../addresses.ts";

/**
 * Link-local (the metadata services of clouds are there), unspecified, multicast, reserved
 * (https://www.iana.org/assignments/iana-ipv4-special-registry).
 */
const never = addressList(["0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8"]);

/** Why no machine can have this address; `undefined` if one can, or if it is a name. */
export function answerAddressProblem(host: string): string | undefined {
  const isAddress = isIP(host) > 0;
  if (host === "localhost" || (isAddress && holdsAddress(LOOPBACK, host)))
    return `${host} is the target host itself`;
  return isAddress && holdsAddress(never, host) ? `${host} is not the address of a machine` : undefined;
}
