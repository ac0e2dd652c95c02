import { newAddressText } from "#shared/protocol/new-address.ts";
import { type Adaptation, type Adapter, type FileEdit, textEdit } from "../adapter.ts";
import {
  AddressNotSetError,
  type AskedInterface,
  askedInterfaces,
  type Configurator,
  type TextFile,
} from "../addresses/asked-interface.ts";
import { ifupdown } from "../addresses/ifupdown.ts";
import { editedHosts, MENTIONING, mentionNotes } from "../addresses/mentions.ts";
import { netplan } from "../addresses/netplan.ts";
import { networkManager } from "../addresses/network-manager.ts";
import { systemdNetworkd } from "../addresses/systemd-networkd.ts";
import { dhcpcd, networkScripts } from "../addresses/unchanged-configurators.ts";
import { type CapturedSystem, filesMatching, textOf } from "../captured-system.ts";

const CONFIGURATORS: readonly Configurator[] = [
  ...[networkScripts, dhcpcd, ifupdown, systemdNetworkd, networkManager, netplan],
];
const HOSTS = "/etc/hosts";
const HOSTNAME = "/etc/hostname";
/** As many as an answer has room for besides the others. */
const MOST_NOTES = 50;

/**
 * Interfaces that are to have other addresses get them in each configuration that names them. Throws
 * `AddressNotSetError` if one could keep its address, or be out of reach.
 */
export const newAddresses: Adapter = {
  reads: [...CONFIGURATORS.flatMap(({ reads }) => reads), ...MENTIONING, HOSTNAME],
  adapt(system, wanted): Adaptation {
    const { addresses = [] } = wanted;
    if (addresses.length === 0) return {};
    const files = new Map(filesMatching(system, newAddresses.reads).map(({ path, text }) => [path, text]));
    const reasons = new Map<string, string>();
    const notes: string[] = [];
    for (const asked of askedInterfaces(wanted)) {
      const { by, paths } = setIn(files, asked);
      for (const path of paths) {
        const others = reasons.get(path);
        reasons.set(path, others === undefined ? reasonFor(asked) : `${others}; ${reasonFor(asked)}`);
      }
      notes.push(...leaseNotes(asked), ...nameServerNotes(system, by, asked));
    }
    const hosts = files.get(HOSTS);
    if (hosts !== undefined) {
      const hostname = (files.get(HOSTNAME) ?? "").trim();
      files.set(HOSTS, editedHosts(hosts, hostname, addresses));
      reasons.set(HOSTS, "the system's own name has its new address");
    }
    const edits = [...reasons].flatMap(([path, why]): FileEdit[] => {
      const after = files.get(path) ?? "";
      const before = textOf(system, path);
      return before === undefined
        ? [{ path, after: Buffer.from(after, "latin1"), why }]
        : textEdit(path, before, after, why);
    });
    const all = [...files].map(([path, text]) => ({ path, text }));
    return { edits, notes: [...notes, ...mentionNotes(all, addresses)].slice(0, MOST_NOTES) };
  },
};

/** Changes the files that configure the interface. Returns whose they are, and which were different. */
function setIn(files: Map<string, string>, asked: AskedInterface): { by: Configurator[]; paths: string[] } {
  const found = CONFIGURATORS.flatMap((by) => {
    const edited = by.edited(filesOf(by, files), asked);
    return edited ? [{ by, edited }] : [];
  });
  if (found.length === 0)
    throw new AddressNotSetError(
      `${asked.name} is configured by no file of ${CONFIGURATORS.map(({ name }) => name).join(", ")}: its address could stay as it is`,
    );
  const changed = found.flatMap(({ edited }) => edited).filter(({ path, text }) => files.get(path) !== text);
  for (const { path, text } of changed) files.set(path, text);
  return { by: found.map(({ by }) => by), paths: changed.map(({ path }) => path) };
}

function filesOf({ reads }: Configurator, files: ReadonlyMap<string, string>): TextFile[] {
  const contents = new Map(
    [...files].map(([path, text]) => [path, { content: Buffer.from(text, "latin1"), mode: 0 }]),
  );
  return filesMatching({ files: contents }, reads);
}

function reasonFor({ name, addresses }: AskedInterface): string {
  return `${name} has ${addresses.map(newAddressText).join(" and ")} here`;
}

/** What else DHCP gave is in no file. */
function leaseNotes({ name, addresses }: AskedInterface): string[] {
  return addresses.flatMap(({ address, instead }) =>
    instead?.isLeased
      ? [
          `${name} has ${address} without DHCP: routes, search domains and time servers that came with its lease are not set`,
        ]
      : [],
  );
}

/** ifupdown hands name servers to resolvconf, and to no other program. */
function nameServerNotes(
  { programs }: Pick<CapturedSystem, "programs">,
  by: readonly Configurator[],
  { name, nameServers }: AskedInterface,
): string[] {
  if (nameServers.length === 0 || !by.includes(ifupdown) || programs.has("/usr/sbin/resolvconf")) return [];
  return [`${name}: the system has no resolvconf, so /etc/resolv.conf has to name ${nameServers.join(", ")}`];
}
