/** Programs whose files are not changed: what they configure could keep its address. */
import { AddressNotSetError, type Configurator } from "./asked-interface.ts";

/** Of Red Hat's and SUSE's older systems. */
export const networkScripts: Configurator = {
  name: "network-scripts",
  reads: ["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"],
  edited(files, { name, card }) {
    const found = files.find(({ path, text }) => {
      const words = [...text.matchAll(/^\s*(?:DEVICE|HWADDR)=["']?([^"'\s]+)/gim)].map(
        ([, word = ""]) => word,
      );
      return (
        path.endsWith(`/ifcfg-${name}`) || words.some((word) => word === name || word.toLowerCase() === card)
      );
    });
    if (!found) return undefined;
    throw new AddressNotSetError(`${found.path} configures ${name}, and such files are not changed`);
  },
};

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
