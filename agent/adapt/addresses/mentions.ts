import { isIP } from "node:net";
import { isInSubnet, isSameAddress } from "#shared/addresses.ts";
import type { SystemAddress } from "#shared/protocol/new-address.ts";
import type { TextFile } from "./asked-interface.ts";

/** Files that name addresses of their machine or of its network, besides those that configure it. */
export const MENTIONING: readonly string[] = [
  ...["/etc/hosts", "/etc/hosts.allow", "/etc/exports", "/etc/nftables.conf", "/etc/rc.local"],
  ...[
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
    "/etc/sysconfig/iptables",
    "/etc/firewalld/zones/*.xml",
  ],
  ...["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf", "/etc/keepalived/keepalived.conf"],
  ...["/etc/network/if-up.d/*", "/etc/network/if-pre-up.d/*", "/etc/NetworkManager/dispatcher.d/*"],
  ...["/etc/sysconfig/network-scripts/route-*", "/etc/sysconfig/network-scripts/rule-*"],
  ...["/etc/default/grub", "/boot/loader/entries/*.conf", "/etc/initramfs-tools/initramfs.conf"],
];

const MOST_SHOWN = 4;

/** A note for each file that still names addresses of the networks that the machine leaves. */
export function mentionNotes(files: readonly TextFile[], addresses: readonly SystemAddress[]): string[] {
  return files.flatMap(({ path, text }) => {
    const found = addressesIn(text).filter(({ address }) => isLeft(address, addresses));
    if (found.length === 0) return [];
    const names = [...new Set(found.map(({ address }) => address))];
    const more = names.length > MOST_SHOWN ? ` and ${names.length - MOST_SHOWN} more` : "";
    const lines = [...new Set(found.map(({ line }) => line))].slice(0, MOST_SHOWN).join(", ");
    return [
      `${path} names ${names.slice(0, MOST_SHOWN).join(", ")}${more} (line ${lines}), of the network that the machine leaves: see whether that has to change`,
    ];
  });
}

/** An address that makes way, or one of its network that no new address is in. */
function isLeft(address: string, addresses: readonly SystemAddress[]): boolean {
  if (addresses.some((one) => isSameAddress(one.address, address) || one.gateway === address)) return false;
  return addresses.some(({ instead }) => {
    if (!instead) return false;
    if (isSameAddress(instead.address, address)) return true;
    return isInSubnet(address, instead) && !addresses.some((one) => isInSubnet(address, one));
  });
}

/** Comments left out. Lines count from 1. */
function addressesIn(text: string): { address: string; line: number }[] {
  return text.split("\n").flatMap((line, index) => {
    if (/^\s*[#;]/.test(line)) return [];
    const words = line.split(/[^0-9A-Fa-f:.]+/).map((word) => word.replace(/^\.+|\.+$/g, ""));
    // `192.0.2.10:22`, and the kernel's `ip=192.0.2.10::192.0.2.1:255.255.255.0`.
    const parts = words.flatMap((word) => (isIP(word) > 0 ? [word] : word.split(":")));
    return parts.filter((part) => isIP(part) > 0).map((address) => ({ address, line: index + 1 }));
  });
}

/** `/etc/hosts` in which the system's own name has its new addresses. */
export function editedHosts(text: string, hostname: string, addresses: readonly SystemAddress[]): string {
  if (hostname === "") return text;
  return text
    .split("\n")
    .map((line) => {
      const [, blank = "", former = "", names = ""] = /^(\s*)(\S+)(\s+[^#]*)/.exec(line) ?? [];
      const isOwn = names.split(/\s+/).some((name) => name === hostname || name.startsWith(`${hostname}.`));
      const next = addresses.find(
        ({ instead }) => instead && isIP(former) && isSameAddress(instead.address, former),
      );
      return isOwn && next ? `${blank}${next.address}${line.slice(blank.length + former.length)}` : line;
    })
    .join("\n");
}
