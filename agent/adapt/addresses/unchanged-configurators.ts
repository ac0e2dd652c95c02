/** Programs whose files are not changed: what they configure could keep its address. */
import { AddressNotSetError, type Configurator } from "./asked-interface.ts";

/** Of Red Hat's and SUSE's older systems. */
export const networkScripts: Configurator = {
  name: "network-scripts",
  reads: ["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"],
  edited(files, { name, card }) {
    for (const { path, text } of files) {
      const words = [...text.matchAll(/^\s*(?:DEVICE|HWADDR)=["']?([^"'\s]+)/gim)].map(
        ([, word = ""]) => word,
      );
      const isNamed =
        path.endsWith(`/ifcfg-${name}`) || words.some((word) => word === name || word.toLowerCase() === card);
      if (isNamed) throw new AddressNotSetError(`${path} configures ${name}, and such files are not changed`);
      if (words.length === 0 && isForAnyCard(path, text))
        throw new AddressNotSetError(`${path} can be for any card, and such files are not changed`);
    }
    return undefined;
  },
};

/** NetworkManager takes such a file for every card; SUSE's programs take its name. */
function isForAnyCard(path: string, text: string): boolean {
  const type = /^\s*TYPE=["']?([^"'\s]+)/im.exec(text)?.[1] ?? "Ethernet";
  return (
    path.startsWith("/etc/sysconfig/network-scripts/") && !path.endsWith("-lo") && /^ethernet$/i.test(type)
  );
}

/** A DHCP client that can give static addresses, too. */
export const dhcpcd: Configurator = {
  name: "dhcpcd",
  reads: ["/etc/dhcpcd.conf"],
  edited(files, { name }) {
    const found = files.find(({ text }) =>
      text.split("\n").some((line) => /^\s*interface\s/.test(line) && line.trim().split(/\s+/)[1] === name),
    );
    if (!found) return undefined;
    throw new AddressNotSetError(`${found.path} configures ${name}, and that file is not changed`);
  },
};
