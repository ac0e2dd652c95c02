import type { NetworkInterface } from "../protocol/inventory.ts";

/** The address that identifies a port after a restart. */
export function hardwareAddressOf({ permanentMacAddress, macAddress }: NetworkInterface): string | undefined {
  return permanentMacAddress ?? macAddress;
}

/** The hardware addresses of a machine's Ethernet ports, in their order. */
export function hardwareAddressesOf(interfaces: readonly NetworkInterface[]): string[] {
  return interfaces.flatMap((each) => (each.kind === "ethernet" ? (hardwareAddressOf(each) ?? []) : []));
}
