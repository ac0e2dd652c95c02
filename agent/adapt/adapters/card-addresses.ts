import { type Adapter, textEdit } from "../adapter.ts";
import { filesMatching } from "../captured-system.ts";

/** Files that can recognise a card by its hardware address, by what reads them. */
const CONFIGURATORS: Readonly<Record<string, readonly string[]>> = {
  ifupdown: ["/etc/network/interfaces", "/etc/network/interfaces.d/*"],
  "systemd-networkd": [
    ...["network", "netdev", "link"].map((kind) => `/etc/systemd/network/*.${kind}`),
    ...["network", "netdev", "link"].map((kind) => `/etc/systemd/network/*.${kind}.d/*.conf`),
  ],
  NetworkManager: [
    "/etc/NetworkManager/system-connections/*",
    "/etc/NetworkManager/NetworkManager.conf",
    "/etc/NetworkManager/conf.d/*.conf",
  ],
  netplan: ["/etc/netplan/*.yaml"],
  "network-scripts": ["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"],
  udev: ["/etc/udev/rules.d/*.rules"],
  "cloud-init": ["/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/*.cfg"],
};

/** Not a part of something longer, such as a DHCP client's identity, which stays. */
const HARDWARE_ADDRESS =
  /(?<![0-9a-f])(?<!\b[0-9a-f]{2}[:-])[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![0-9a-f])(?![:-][0-9a-f]{2})/gi;

/** Configurations that are for a card with the source's hardware address become those of the new card. */
export const cardAddresses: Adapter = {
  reads: Object.values(CONFIGURATORS).flat(),
  adapt(system, { cards }) {
    const pairs = cards.flatMap(({ address, replaces }) =>
      replaces && replaces.address.toLowerCase() !== address ? [{ from: replaces.address, to: address }] : [],
    );
    if (pairs.length === 0) return {};
    const edits = Object.entries(CONFIGURATORS).flatMap(([configurator, files]) =>
      filesMatching(system, files).flatMap(({ path, text }) => {
        const why = `${configurator} recognises a card by its hardware address, and that is a new one`;
        return textEdit(path, text, withAddresses(text, pairs), why);
      }),
    );
    return { edits };
  },
};

/** All at once, because cards can exchange their addresses. Case and separators stay as they were. */
function withAddresses(text: string, pairs: readonly { from: string; to: string }[]): string {
  const plain = (address: string) => address.toLowerCase().replace(/[:-]/g, "");
  const next = new Map(pairs.map(({ from, to }) => [plain(from), to]));
  return text.replace(HARDWARE_ADDRESS, (found, separator: string) => {
    const to = next.get(plain(found))?.replaceAll(":", separator);
    if (to === undefined) return found;
    return /[A-F]/.test(found) ? to.toUpperCase() : to;
  });
}
