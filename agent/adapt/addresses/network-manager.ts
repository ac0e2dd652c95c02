import { isIP } from "node:net";
import type { SystemAddress } from "#shared/protocol/new-address.ts";
import {
  AddressNotSetError,
  type AskedInterface,
  addressFamily,
  type Configurator,
  gatewayAmong,
  isFormerAddress,
  replacedAmong,
  requireRouter,
  type TextFile,
} from "./asked-interface.ts";
import { type IniEntry, IniText } from "./ini-text.ts";

/** Methods that make way for `manual`; without one, the method is `auto`. */
const REPLACED_METHODS = new Set(["manual", "auto", "dhcp", "disabled", "ignore", "link-local", undefined]);
const WITHOUT_NAME_SERVERS = new Set(["disabled", "ignore", "link-local"]);
const WIRED = ["ethernet", "802-3-ethernet"];

/** Keyfiles: https://networkmanager.dev/docs/api/latest/nm-settings-keyfile.html */
export const networkManager: Configurator = {
  name: "NetworkManager",
  reads: ["/etc/NetworkManager/system-connections/*"],
  edited(files, asked) {
    const profiles = files.map((file) => ({ file, match: matchOf(new IniText(file.text), asked) }));
    const named = profiles.filter(({ match }) => match === "named");
    const open = profiles.filter(({ match }) => match === "any card");
    if (named.length === 0 && open.length === 0) return undefined;
    const rank = Math.max(...named.map(({ file }) => priorityOf(file)));
    const preferred = open.find(({ file }) => priorityOf(file) > rank);
    if (named.length > 0 && preferred)
      throw new AddressNotSetError(
        `${preferred.file.path} is for any card, and comes before those for ${asked.name}`,
      );
    if (named.length > 0) return named.map(({ file }) => changed(file, asked));
    const [only, ...others] = open;
    const isPlain =
      only && new IniText(only.file.text).sections("match").every(({ entries }) => entries.length === 0);
    if (isPlain && others.length === 0 && asked.isOnlyCard) return [changed(only.file, asked)];
    throw new AddressNotSetError(
      `it is unknown which of these is for ${asked.name}: ${open.map(({ file }) => file.path).join(", ")}`,
    );
  },
};

/** Of several profiles for a card, NetworkManager takes the one with the highest. */
function priorityOf({ text }: TextFile): number {
  const ini = new IniText(text);
  const isOff = /^(?:false|no|off|0)$/i.test(ini.value("connection", "autoconnect") ?? "");
  return isOff ? -Infinity : Number.parseInt(ini.value("connection", "autoconnect-priority") ?? "0", 10);
}

type Match = "none" | "named" | "any card";

function matchOf(ini: IniText, { name, card }: AskedInterface): Match {
  const of = (key: string) => ini.value("connection", key);
  const type = of("type") ?? "";
  if (["master", "controller"].some((key) => (of(key) ?? "") !== "")) return "none";
  const parent = ini.value("vlan", "parent");
  const vlanName = type === "vlan" && parent ? `${parent}.${ini.value("vlan", "id")}` : undefined;
  const own = of("interface-name") ?? vlanName;
  if (own !== undefined) return own === name ? "named" : "none";
  if (!WIRED.includes(type) || card === undefined) return "none";
  const address = WIRED.map((section) => ini.value(section, "mac-address")).find((one) => one);
  if (address === undefined) return "any card";
  return address.toLowerCase().replaceAll("-", ":") === card ? "named" : "none";
}

function changed({ path, text }: TextFile, { addresses, nameServers }: AskedInterface): TextFile {
  const ini = new IniText(text);
  for (const asked of addresses) setAddress(ini, path, asked);
  if (nameServers.length > 0) setNameServers(ini, path, addresses, nameServers);
  return { path, text: ini.text };
}

interface KeyfileAddress {
  entry: IniEntry;
  address: string;
  prefix: string;
  /** In the same value. */
  gateway: string | undefined;
}

function setAddress(ini: IniText, path: string, asked: SystemAddress): void {
  const section = `ipv${addressFamily(asked)}`;
  const method = ini.value(section, "method");
  if (!REPLACED_METHODS.has(method))
    throw new AddressNotSetError(`${path}: the method ${method} of ${section} is not understood`);
  const present = addressesIn(ini, section, path);
  requireNoRoute(ini, section, path);
  requireOtherSource(ini, section, path, asked);
  const [key] = ini.entries(section, "gateway").slice(-1);
  const inline = present.find((one) => one.gateway !== undefined);
  const known = (key?.value || undefined) ?? inline?.gateway;
  const gateway = gatewayAmong(known === undefined ? [] : [known], asked);
  if (gateway !== undefined && /^(?:true|yes|1|on)$/i.test(ini.value(section, "never-default") ?? ""))
    throw new AddressNotSetError(`${path}: ${section} never has the default route, so it gets no gateway`);
  if (method === undefined || method === "auto" || method === "dhcp") requireRouter(asked, path);
  const replaced = replacedAmong(present, asked);
  // Only one of them names the gateway.
  for (const one of present)
    if (one !== replaced && one.gateway !== undefined) ini.set(one.entry, `${one.address}/${one.prefix}`);
  // The gateway of a further address would not count.
  const isFurther = !replaced && present.length > 0;
  const isInline = gateway !== undefined && !key && !isFurther;
  const value = `${asked.address}/${asked.prefixLength}${isInline ? `,${gateway}` : ""}`;
  if (replaced) ini.set(replaced.entry, value);
  const methods = ini.entries(section, "method");
  for (const entry of methods) if (entry.value !== "manual") ini.set(entry, "manual");
  ini.add(
    section,
    ...(replaced ? [] : [`${freeKey(present)}=${value}`]),
    ...(isFurther && gateway !== undefined && !key ? [`gateway=${gateway}`] : []),
    ...(methods.length > 0 ? [] : ["method=manual"]),
  );
  if (key && gateway !== undefined && key.value !== gateway) ini.set(key, gateway);
}

/** `address1=192.0.2.10/24,192.0.2.1`; older versions wrote `addresses1=192.0.2.10;24;192.0.2.1;`. */
function addressesIn(ini: IniText, section: string, path: string): KeyfileAddress[] {
  const entries = ini.sections(section).flatMap((one) => one.entries);
  return entries
    .filter(({ key }) => /^address(?:es)?\d*$/.test(key))
    .map((entry) => {
      const [, address = "", prefix = "", gateway = ""] =
        /^([^/;,]+)[/;](\d{1,3})(?:[;,]([^;,]*))?[;,]*$/.exec(entry.value) ?? [];
      if (isIP(address) !== Number(section.at(-1)) || (gateway !== "" && isIP(gateway) !== isIP(address)))
        throw new AddressNotSetError(`${path}: ${entry.key}=${entry.value} is not understood`);
      const isNone = gateway === "" || gateway === "0.0.0.0" || gateway === "::";
      return { entry, address, prefix, gateway: isNone ? undefined : gateway };
    });
}

function freeKey(present: readonly KeyfileAddress[]): string {
  const numbers = present.map(({ entry }) => Number(/\d+$/.exec(entry.key)?.[0] ?? 0));
  return `address${Math.max(0, ...numbers) + 1}`;
}

/** The kernel makes no route from an address that the system does not have. */
function requireOtherSource(ini: IniText, section: string, path: string, asked: SystemAddress): void {
  for (const { key, value } of ini.sections(section).flatMap(({ entries }) => entries)) {
    const source = /^routes?\d+_options$/.test(key) ? /\bsrc=([^,]+)/.exec(value)?.[1] : undefined;
    if (source && isFormerAddress(source, asked))
      throw new AddressNotSetError(`${path}: ${key}=${value} makes a route from the address that makes way`);
  }
}

function requireNoRoute(ini: IniText, section: string, path: string): void {
  for (const { entries } of ini.sections(section))
    for (const { key, value } of entries)
      if (/^routes?\d*$/.test(key) && /^(?:0\.0\.0\.0|::)[/;]0\b/.test(value))
        throw new AddressNotSetError(`${path}: ${key}=${value} makes a default route of its own`);
}

/** Each family's section names the servers of that family. */
function setNameServers(
  ini: IniText,
  path: string,
  addresses: readonly SystemAddress[],
  nameServers: readonly string[],
): void {
  for (const family of [4, 6] as const) {
    const section = `ipv${family}`;
    const servers = nameServers.filter((one) => isIP(one) === family);
    const entries = ini.entries(section, "dns");
    if (servers.length === 0) {
      ini.remove(entries);
      continue;
    }
    const isAsked = addresses.some((one) => addressFamily(one) === family);
    if (!isAsked && WITHOUT_NAME_SERVERS.has(ini.value(section, "method") ?? ""))
      throw new AddressNotSetError(
        `${path}: ${section} is off, so it cannot have the name servers ${servers.join(", ")}`,
      );
    const value = `${servers.join(";")};`;
    const last = entries.at(-1);
    ini.remove(entries.slice(0, -1));
    if (last && last.value !== value) ini.set(last, value);
    else if (!last) ini.add(section, `dns=${value}`);
  }
}
