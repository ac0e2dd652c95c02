import { isIP } from "node:net";
import { basename, matchesGlob } from "node:path";
import type { SystemAddress } from "#shared/protocol/new-address.ts";
import {
  AddressNotSetError,
  type AskedInterface,
  addressFamily,
  addressWords,
  type Configurator,
  gatewayAmong,
  isFormerAddress,
  needsOnLink,
  replacedAmong,
  type TextFile,
} from "./asked-interface.ts";
import { type IniEntry, type IniSection, IniText } from "./ini-text.ts";

const FOLDER = "/etc/systemd/network";
/** The first file that matches an interface configures it. */
const OWN = `${FOLDER}/00-causeway-`;
const DEFAULT_ROUTES = new Set([undefined, "", "0.0.0.0/0", "::/0", "default"]);
const CONFIGURING_KEYS = /^(?:Address|Gateway|DHCP|Match|Name|MACAddress|Broadcast|Peer)$/;

/** https://www.freedesktop.org/software/systemd/man/latest/systemd.network.html */
export const systemdNetworkd: Configurator = {
  name: "systemd-networkd",
  reads: [`${FOLDER}/*.network`, `${FOLDER}/*.network.d/*.conf`],
  edited(files, asked) {
    const networks = files
      .filter(({ path }) => path.endsWith(".network"))
      .toSorted((a, b) => (basename(a.path) < basename(b.path) ? -1 : 1));
    requireReadBase(files, networks, asked);
    for (const file of networks) {
      const ini = new IniText(file.text);
      const match = matchOf(ini, asked);
      if (match === "none") continue;
      if (match === "unknown")
        throw new AddressNotSetError(`it is unknown whether ${file.path} is for ${asked.name}`);
      if (isOn(ini.value("Link", "Unmanaged"))) return undefined;
      requireReadable(file, ini, files);
      return [match === "alone" ? changed(file, asked) : changed(forOne(file, asked), asked)];
    }
    return undefined;
  },
};

type Match = "none" | "alone" | "with others" | "unknown";

function matchOf(ini: IniText, { name, card }: AskedInterface): Match {
  const conditions = ini.sections("Match").flatMap(({ entries }) => entries);
  // Since systemd 243, such a file is for no interface.
  if (conditions.length === 0) return ini.isEmpty ? "none" : "unknown";
  const words = (...keys: string[]) =>
    conditions.filter(({ key }) => keys.includes(key)).flatMap(({ value }) => value.split(/\s+/));
  const names = words("Name");
  const addresses = words("MACAddress", "PermanentMACAddress").map((one) =>
    one.toLowerCase().replaceAll("-", ":"),
  );
  const types = words("Type");
  const others = conditions.filter(
    ({ key }) => !["Name", "MACAddress", "PermanentMACAddress", "Type"].includes(key),
  );
  if (names.length > 0 && !isNamed(name, names)) return "none";
  // A bond or a bridge can have the address of a card, and is then recognised by it, too.
  if (addresses.length > 0 && card !== undefined && !addresses.includes(card)) return "none";
  if (addresses.length > 0 && card === undefined && names.length === 0) return "unknown";
  if (types.length > 0 && card !== undefined && !isNamed("ether", types)) return "none";
  if (others.length > 0 || (types.length > 0 && card === undefined)) return "unknown";
  const isAlone = names.length === 1 ? names[0] === name : names.length === 0 && addresses.length === 1;
  return isAlone ? "alone" : "with others";
}

/** Globs; those that begin with `!` must not match. */
function isNamed(name: string, globs: readonly string[]): boolean {
  const isNegative = globs[0]?.startsWith("!") === true;
  const matches = globs.some((glob) => matchesGlob(name, glob.replace(/^!/, "")));
  return isNegative ? !matches : matches;
}

function requireReadable({ path }: TextFile, ini: IniText, files: readonly TextFile[]): void {
  if (ini.isContinued) throw new AddressNotSetError(`${path} continues a value on the next line`);
  for (const dropIn of files.filter((one) => one.path.startsWith(`${path}.d/`))) {
    if (configures(dropIn.text))
      throw new AddressNotSetError(`${dropIn.path} changes the addresses of ${path}`);
  }
}

/** Whether a drop-in decides on addresses, or on the interfaces. */
function configures(dropIn: string): boolean {
  return [...dropIn.matchAll(/^\s*\[?(\w+)/gm)].some(([, key = ""]) => CONFIGURING_KEYS.test(key));
}

/** Drop-ins can be for a file outside of this folder, such as netplan's in `/run`. */
function requireReadBase(
  files: readonly TextFile[],
  networks: readonly TextFile[],
  { name, addresses }: AskedInterface,
): void {
  for (const { path, text } of files) {
    const base = /^(.*)\.d\/[^/]+$/.exec(path)?.[1];
    if (base === undefined || networks.some((one) => one.path === base)) continue;
    const isOwn =
      basename(base) === `10-netplan-${name}.network` ||
      addressWords(text).some((word) => addresses.some((asked) => isFormerAddress(word, asked)));
    if (isOwn && configures(text))
      throw new AddressNotSetError(
        `${path} changes the addresses of ${basename(base)}, which is not read here`,
      );
  }
}

/** A copy for this interface alone: what others have stays. */
function forOne({ path, text }: TextFile, { name }: AskedInterface): TextFile {
  const own = `${OWN}${name}.network`;
  if (basename(own) > basename(path))
    throw new AddressNotSetError(`${path} is for several interfaces, and comes before any file for ${name}`);
  const ini = new IniText(text);
  ini.remove(ini.sections("Match").flatMap(({ entries }) => entries));
  ini.add("Match", `Name=${name}`);
  return { path: own, text: ini.text };
}

function changed({ path, text }: TextFile, { addresses, nameServers }: AskedInterface): TextFile {
  const ini = new IniText(text);
  for (const asked of addresses) {
    setAddress(ini, asked);
    setGateway(ini, asked);
    setSource(ini, asked);
  }
  setDhcp(ini, addresses);
  if (nameServers.length > 0) {
    ini.remove(ini.entries("Network", "DNS"));
    ini.add("Network", ...nameServers.map((one) => `DNS=${one}`));
  }
  return { path, text: ini.text };
}

function setAddress(ini: IniText, asked: SystemAddress): void {
  const entries = [...ini.entries("Network", "Address"), ...ini.entries("Address", "Address")];
  const present = entries.map((entry) => ({ entry, address: entry.value.split("/")[0] ?? "" }));
  const strange = present.find(({ address }) => isIP(address) === 0 || /^(?:0\.0\.0\.0|::)$/.test(address));
  if (strange) throw new AddressNotSetError(`Address=${strange.entry.value} is not an address`);
  const own = present.filter(({ address }) => isIP(address) === addressFamily(asked));
  const value = `${asked.address}/${asked.prefixLength}`;
  const entry = replacedAmong(own, asked)?.entry;
  if (!entry) {
    ini.add("Network", `Address=${value}`);
    return;
  }
  const section = ini.sections("Address").find(({ entries: all }) => all.includes(entry));
  const peer = section?.entries.find(({ key }) => key === "Peer");
  if (peer) throw new AddressNotSetError(`${asked.interface} is a point-to-point link`);
  ini.remove(section?.entries.filter(({ key }) => key === "Broadcast") ?? []);
  ini.set(entry, value);
}

function setGateway(ini: IniText, asked: SystemAddress): void {
  const isOwn = ({ value }: IniEntry) => isIP(value) === addressFamily(asked);
  const short = ini.entries("Network", "Gateway").filter(isOwn);
  const byDhcp = ini
    .entries("Network", "Gateway")
    .filter(({ value }) => value === (addressFamily(asked) === 4 ? "_dhcp4" : "_ipv6ra"));
  const routes = ini.sections("Route").flatMap((section) => {
    const of = (name: string) => section.entries.findLast(({ key }) => key === name);
    const gateway = of("Gateway");
    const isDefault = DEFAULT_ROUTES.has(of("Destination")?.value) && !of("Table");
    return gateway && isDefault && isOwn(gateway) ? [{ section, gateway, onLink: onLinkEntry(section) }] : [];
  });
  const [route] = routes;
  if (short.length + routes.length > 1)
    throw new AddressNotSetError(`${asked.interface} has several default routes`);
  const gateway = gatewayAmong(
    [...short, ...routes.map((one) => one.gateway)].map(({ value }) => value),
    asked,
  );
  if (gateway === undefined) return;
  ini.remove(byDhcp);
  const isOnLink = needsOnLink(gateway, asked);
  if (route) {
    ini.set(route.gateway, gateway);
    if (isOnLink && route.onLink) ini.set(route.onLink, "yes");
    else if (isOnLink) ini.addTo(route.section, "GatewayOnLink=yes");
  } else if (isOnLink) {
    ini.remove(short);
    ini.addSection("Route", `Gateway=${gateway}`, "GatewayOnLink=yes");
  } else if (short[0]) ini.set(short[0], gateway);
  else ini.add("Network", `Gateway=${gateway}`);
}

/** The kernel makes no route from an address that the system does not have. */
function setSource(ini: IniText, asked: SystemAddress): void {
  for (const entry of ini.entries("Route", "PreferredSource"))
    if (isFormerAddress(entry.value, asked)) ini.set(entry, asked.address);
}

/** Its name had another case before systemd 242. */
function onLinkEntry({ entries }: IniSection): IniEntry | undefined {
  return entries.find(({ key }) => key.toLowerCase() === "gatewayonlink");
}

/** Families that get an address ask no DHCP server any more. */
function setDhcp(ini: IniText, addresses: readonly SystemAddress[]): void {
  const isStatic = (family: 4 | 6) => addresses.some((one) => addressFamily(one) === family);
  for (const entry of ini.entries("Network", "DHCP")) {
    const value = entry.value.toLowerCase();
    const both = isOn(value) || value === "both";
    const asks4 = (both || value === "ipv4" || value === "v4") && !isStatic(4);
    const asks6 = (both || value === "ipv6" || value === "v6") && !isStatic(6);
    const next = asks4 && asks6 ? entry.value : asks4 ? "ipv4" : asks6 ? "ipv6" : "no";
    const isSame =
      (asks4 && value === "v4") || (asks6 && value === "v6") || !(both || /^(?:ip)?v[46]$/.test(value));
    if (!isSame && next !== entry.value) ini.set(entry, next);
  }
}

function isOn(value: string | undefined): boolean {
  return /^(?:yes|true|on|1)$/i.test(value ?? "");
}
