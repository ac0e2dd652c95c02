import { newAddressText, type SystemAddress } from "#shared/protocol/new-address.ts";

/** A line for each new address. */
export function describeAddresses(addresses: readonly SystemAddress[] | undefined): string[] {
  return (addresses ?? []).map((one) => {
    const { interface: name, instead, nameServers } = one;
    const place = instead ? ` in place of ${instead.address}` : "";
    const asks = nameServers.length > 0 ? `; its name servers are ${nameServers.join(", ")}` : "";
    return `its ${name} has ${newAddressText(one)}${place}${asks}`;
  });
}
