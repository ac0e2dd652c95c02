import type { Adaptation, Adapter } from "../adapter.ts";
import { type CapturedSystem, filesMatching } from "../captured-system.ts";
import { everyKernelGets } from "./boot-parameters.ts";

const RULES = "/etc/udev/rules.d/*.rules";
const OWN = "/etc/systemd/network/10-causeway-";
const LINKS = "/etc/systemd/network/*.link";

/**
 * A card keeps the name of the port whose place it takes, although udev would name it by its new slot.
 * Addresses, routes, VLANs, bonds and firewalls refer to that name, whatever configures the network.
 */
export const cardNames: Adapter = {
  reads: [RULES, LINKS],
  adapt(system, { cards }): Adaptation {
    const kept = cards.flatMap(({ address, replaces }) =>
      replaces ? [{ name: replaces.name, address }] : [],
    );
    if (!system.programs.has("/usr/lib/systemd/systemd-udevd"))
      return { notes: kept.map(({ name }) => `${name} may get another name: the system has no systemd`) };
    const others = filesMatching(system, [RULES, LINKS]).filter(({ path }) => !path.startsWith(OWN));
    const isNamed = (card: { name: string; address: string }) =>
      others.some(({ path, text }) =>
        path.endsWith(".rules")
          ? text.split("\n").some((line) => !line.includes("KERNELS==") && names(line, card))
          : names(text, card),
      );
    const edits = kept
      .filter((card) => !isNamed(card))
      .map(({ name, address }) => ({
        path: `${OWN}${name}.link`,
        after: Buffer.from(linkFile(name, address)),
        why: `the card keeps the name ${name}, by which the network is configured`,
      }))
      .filter(({ path, after }) => system.files.get(path)?.content.equals(after) !== true);
    const isNamedByKernel =
      kept.length === cards.length &&
      kept.every(({ name }, at) => name === `eth${at}`) &&
      leavesNames(system, others);
    return {
      edits,
      // A udev before 240 names no card that one in the initramfs has named.
      rebuild: isNamedByKernel ? [] : edits.map(({ path }) => ({ why: `it contains ${path}` })),
      notes: orderNotes(kept.map(({ name }) => name)),
    };
  },
};

/** Whether cards keep the names that the kernel gives them, in the initramfs as well. */
function leavesNames(system: CapturedSystem, others: readonly { text: string }[]): boolean {
  return everyKernelGets("net.ifnames=0", system) && !others.some(({ text }) => /\bname\s*=/i.test(text));
}

/** Whether a rule, or a file of links, gives the card with this address this name. */
function names(text: string, { name, address }: { name: string; address: string }): boolean {
  const naming = new RegExp(`\\bname\\s*=\\s*"?${escaped(name)}"?\\s*$`, "im");
  return text.toLowerCase().includes(address) && naming.test(text);
}

/** VLANs and bridges can have the address of their port; only the card itself is of this type. */
function linkFile(name: string, address: string): string {
  return `[Match]\nMACAddress=${address}\nType=ether\n\n[Link]\nName=${name}\n`;
}

/** The kernel gives such names itself, and a card cannot take one while another still has it. */
function orderNotes(names: readonly string[]): string[] {
  const own = names.filter((name) => /^eth\d+$/.test(name));
  const isInOrder = own.every((name, at) => name === `eth${at}`);
  return isInOrder
    ? []
    : [`${own.join(", ")}: names of the kernel's own, which may be exchanged unless cards have their order`];
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
