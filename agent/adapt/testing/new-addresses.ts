import type { SystemAddress } from "#shared/protocol/new-address.ts";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { adaptedFiles } from "./a-system.ts";

/** The hardware address of the card that takes the place of `ens192`. */
export const CARD = "52:54:00:12:34:56";

/** 192.0.2.20/24 by 192.0.2.1, in place of 192.0.2.10, for `ens192`. */
export function aSystemAddress(parts: Partial<SystemAddress> = {}): SystemAddress {
  return {
    ...{
      interface: "ens192",
      address: "192.0.2.20",
      prefixLength: 24,
      gateway: "192.0.2.1",
      nameServers: [],
    },
    ...{ instead: { address: "192.0.2.10", prefixLength: 24 } },
    ...parts,
  };
}

/** A machine whose only card has the place of `ens192`, and that has these addresses. */
export function movedTo(...addresses: Partial<SystemAddress>[]): Pick<WantedMachine, "cards" | "addresses"> {
  return {
    cards: [{ address: CARD, replaces: { name: "ens192", address: CARD } }],
    addresses: addresses.map(aSystemAddress),
  };
}

/** The changed files, and what an operator has to look after. The card has its name already. */
export function readdressed(
  files: Record<string, string>,
  wanted: Pick<WantedMachine, "cards" | "addresses">,
  programs: readonly string[] = [],
): { files: Record<string, string | null>; notes: string[] } {
  const link = "/etc/systemd/network/10-causeway-ens192.link";
  const named = `[Match]\nMACAddress=${CARD}\nType=ether\n\n[Link]\nName=ens192\n`;
  const udev = "/usr/lib/systemd/systemd-udevd";
  const adapted = adaptedFiles({ files: { ...files, [link]: named }, programs: [udev, ...programs] }, wanted);
  return { files: adapted.files, notes: adapted.notes };
}
