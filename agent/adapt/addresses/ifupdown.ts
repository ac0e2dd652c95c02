import { isIP } from "node:net";
import { basename, dirname, matchesGlob, resolve } from "node:path";
import { isSameAddress } from "#shared/addresses.ts";
import { isReachableGateway, type SystemAddress } from "#shared/protocol/new-address.ts";
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
import { EditedLines } from "./edited-lines.ts";

const MAIN = "/etc/network/interfaces";
/** Of its files, only those directly in it are read here. */
const FOLDER = `${MAIN}.d`;
/** What only a running system has. */
const RUNTIME_SOURCE = /^\/run\/network\/interfaces\.d(?:\/\*)?$/;
const OTHER_STANZAS =
  /^(?:auto|allow-\S+|mapping|source|source-dir|source-directory|no-auto-down|no-scripts|rename|template)$/;
/** Methods that make way for `static`. */
const REPLACED_METHODS = new Set(["static", "dhcp", "auto", "manual"]);
const COMMANDS = new Set(["up", "pre-up", "post-up", "down", "pre-down", "post-down"]);
const INDENTATION = "    ";
const NAME_SERVERS = "dns-nameservers";
/** The `up` line that makes a route to a gateway outside the subnet, which `gateway` cannot. */
const OWN_ROUTE = "up (route)";

/** `iface eth0 inet static` with its options. */
interface Stanza {
  path: string;
  edited: EditedLines;
  header: number;
  last: number;
  name: string;
  family: 4 | 6;
  method: string;
  options: { line: number; key: string; value: string }[];
}

/** An option as it has to be; without a value, none. */
interface WantedOption {
  key: string;
  value?: string | undefined;
}

/** Debian's `/etc/network/interfaces`: https://manpages.debian.org/interfaces.5 */
export const ifupdown: Configurator = {
  name: "ifupdown",
  reads: [MAIN, `${FOLDER}/*`],
  edited(files, asked) {
    const parsed = usedFiles(files).map(({ path, text }) => ({ path, edited: new EditedLines(text) }));
    const all = parsed.flatMap(stanzasIn);
    const stanzas = all.filter(({ name }) => name === asked.name);
    if (stanzas.length === 0) return undefined;
    for (const { path, text } of files) requireKnownSources(path, sourcesIn(text));
    for (const stanza of stanzas) requireClassic(stanza);
    const aliases = all.filter(({ name }) => name.startsWith(`${asked.name}:`));
    for (const address of asked.addresses) {
      for (const alias of aliases) requireOtherAddress(alias, address);
      setAddress(address, stanzas);
    }
    setNameServers(asked, stanzas);
    return parsed.map(({ path, edited }) => ({ path, text: edited.text }));
  },
};

interface Source {
  /** A pattern of paths, or a folder. */
  path: string;
  isFolder: boolean;
}

function sourcesIn(text: string): Source[] {
  return [...text.matchAll(/^[ \t]*source(-directory|-dir)?[ \t]+(.*)$/gm)].flatMap(
    ([, folder, paths = ""]) =>
      paths
        .trim()
        .split(/\s+/)
        .map((path) => ({ path: resolve(dirname(MAIN), path), isFolder: folder !== undefined })),
  );
}

/** The main file, and those that it includes, or that these include. */
function usedFiles(files: readonly TextFile[]): TextFile[] {
  const used = new Set(files.filter(({ path }) => path === MAIN));
  // A set also visits what is added while it is walked.
  for (const { text } of used) {
    const sources = sourcesIn(text);
    for (const file of files) if (sources.some((source) => includes(source, file.path))) used.add(file);
  }
  return files.filter((file) => used.has(file));
}

function includes({ path, isFolder }: Source, file: string): boolean {
  // A folder's files are read if their names are plain.
  return isFolder ? dirname(file) === path && /^[\w-]+$/.test(basename(file)) : matchesGlob(file, path);
}

function requireKnownSources(path: string, sources: readonly Source[]): void {
  const other = sources.find(
    ({ path: from, isFolder }) => (isFolder ? from : dirname(from)) !== FOLDER && !RUNTIME_SOURCE.test(from),
  );
  if (other)
    throw new AddressNotSetError(`${path} includes ${other.path}, which may configure the interface again`);
}

function stanzasIn({ path, edited }: Pick<Stanza, "path" | "edited">): Stanza[] {
  const stanzas: Stanza[] = [];
  let current: Stanza | undefined;
  let continues = false;
  for (const [line, text] of edited.lines.entries()) {
    const [key = "", name = "", family = "", method = "", ...others] = text.trim().split(/\s+/);
    const isContinued: boolean = continues;
    // A comment is skipped before a backslash at its end is looked at.
    continues = text.endsWith("\\") && (isContinued || !key.startsWith("#"));
    if (isContinued && current) current.method = "";
    if (key === "" || key.startsWith("#") || isContinued) continue;
    if (key === "iface") {
      const isPlain = (family === "inet" || family === "inet6") && others.length === 0;
      current = {
        path,
        edited,
        header: line,
        last: line,
        name,
        family: family === "inet6" ? 6 : 4,
        method,
        options: [],
      };
      if (!isPlain) current.method = "";
      stanzas.push(current);
    } else if (OTHER_STANZAS.test(key)) current = undefined;
    else if (current) {
      current.options.push({ line, key, value: text.trim().slice(key.length).trim() });
      current.last = line;
    }
  }
  return stanzas;
}

/**
 * Throws `AddressNotSetError` for a stanza that only ifupdown2 or ifupdown-ng take as it is meant: without a
 * method, or with several addresses, of any family.
 */
function requireClassic({ path, name, family, method, options }: Stanza): void {
  const addresses = options.flatMap(({ key, value }) =>
    key === "address" ? [value.split("/")[0] ?? ""] : [],
  );
  const isOther = addresses.some((address) => isIP(address) !== 0 && isIP(address) !== family);
  if (method === "" || addresses.length > 1 || isOther)
    throw new AddressNotSetError(`${path} configures ${name} in a way that is not understood`);
}

/**
 * Throws `AddressNotSetError` if an alias, such as `eth0:1` for a further address of `eth0`, has the address
 * that makes way, or the new one.
 */
function requireOtherAddress({ path, name, options }: Stanza, asked: SystemAddress): void {
  for (const { key, value } of options) {
    const own = value.split("/")[0] ?? "";
    if (key === "address" && (isSameAddress(asked.address, own) || isFormerAddress(own, asked)))
      throw new AddressNotSetError(`${path}: ${name} has ${own}: give it to the interface itself`);
  }
}

function setAddress(asked: SystemAddress, all: readonly Stanza[]): void {
  const own = all.filter(({ family }) => family === addressFamily(asked));
  for (const stanza of all) requireHarmlessCommands(stanza, asked);
  for (const { path, method, name } of own)
    if (!REPLACED_METHODS.has(method))
      throw new AddressNotSetError(`${path} configures ${name} in a way that is not understood`);
  const present = own.flatMap((stanza) => {
    const value = stanza.method === "static" ? optionOf(stanza, "address") : undefined;
    return value === undefined ? [] : [{ stanza, address: value.split("/")[0] ?? "" }];
  });
  if (own.length > 1 && present.length < own.length)
    throw new AddressNotSetError(`${asked.interface} is configured in several ways for one family`);
  const replaced = replacedAmong(present, asked);
  if (!replaced && present.length > 0)
    throw new AddressNotSetError(`${asked.interface} has a static address here, and another one by DHCP`);
  const stanza = replaced?.stanza ?? own[0];
  const routed = own.filter((one) => gatewayOf(one) !== undefined);
  if (routed.length > 1) throw new AddressNotSetError(`${asked.interface} has several default routes`);
  const gateway = gatewayAmong(
    routed.flatMap((one) => gatewayOf(one) ?? []),
    asked,
  );
  const isByCommand = own.some(({ options }) => options.some(isDefaultRoute));
  const route = gateway === undefined || isByCommand ? [] : gatewayOptions(gateway, asked);
  if (stanza) {
    makeStatic(stanza);
    writeOptions(stanza, addressOptions(asked, stanza));
    writeOptions(routed[0] ?? stanza, route);
  } else addStanza(all, asked, [...addressOptions(asked, undefined), ...route]);
}

/** Throws `AddressNotSetError` if a command makes what the options say otherwise then. */
function requireHarmlessCommands({ path, name, options }: Stanza, asked: SystemAddress): void {
  const { interface: of, address, gateway, instead } = asked;
  const former = instead && !isSameAddress(instead.address, address) ? instead.address : undefined;
  for (const { key, value } of options) {
    if (key === "pointopoint") throw new AddressNotSetError(`${path}: ${of} is a point-to-point link`);
    const words = addressWords(value);
    if (COMMANDS.has(key) && former !== undefined && words.some((word) => isSameAddress(word, former)))
      throw new AddressNotSetError(`${path}: a command of ${name} names ${former}: ${value}`);
    const isKept =
      gateway === undefined
        ? !words.some((word) => isOutOfReach(word, asked))
        : words.some((word) => isSameAddress(word, gateway));
    if (isDefaultRoute({ key, value }) && isOfFamily(value, asked) && !isKept)
      throw new AddressNotSetError(`${path}: a command of ${name} makes its default route: ${value}`);
  }
}

function isOutOfReach(word: string, asked: SystemAddress): boolean {
  return (
    isIP(word) === addressFamily(asked) &&
    !/^(?:0\.0\.0\.0|::)$/.test(word) &&
    !isReachableGateway(word, asked)
  );
}

/** Made by a command of the operator's. */
function isDefaultRoute({ key, value }: { key: string; value: string }): boolean {
  const isUp = COMMANDS.has(key) && !key.includes("down");
  return isUp && /\broute\b.*(?:\bdefault\b|\b0\.0\.0\.0\b|::\/0)/.test(value) && !ownGateway(value);
}

function isOfFamily(command: string, asked: SystemAddress): boolean {
  return /\s-6\s|\binet6\b|[0-9a-f]*:[0-9a-f]*:/.test(command) === (addressFamily(asked) === 6);
}

function ownGateway(command: string): string | undefined {
  return /^ip (?:-6 )?route replace default via (\S+) dev \S+ onlink$/.exec(command)?.[1];
}

function optionOf({ options }: Stanza, wanted: string): string | undefined {
  return options.find(({ key }) => key === wanted)?.value;
}

function gatewayOf(stanza: Stanza): string | undefined {
  const own = stanza.options.flatMap(({ key, value }) => (key === "up" && ownGateway(value)) || []);
  return optionOf(stanza, "gateway") ?? own[0];
}

/** In the notation that the stanza has: the prefix in the address, or as a netmask. */
function addressOptions(
  { address, prefixLength }: SystemAddress,
  stanza: Stanza | undefined,
): WantedOption[] {
  const hasPrefix = stanza && optionOf(stanza, "address")?.includes("/");
  const mask = stanza && !hasPrefix ? optionOf(stanza, "netmask") : undefined;
  const broadcast = stanza && optionOf(stanza, "broadcast");
  return [
    { key: "address", value: mask === undefined ? `${address}/${prefixLength}` : address },
    { key: "netmask", value: mask?.includes(".") ? dottedMask(prefixLength) : mask && String(prefixLength) },
    // ifupdown computes both, and these are of the former subnet.
    { key: "network" },
    { key: "broadcast", value: broadcast === "+" || broadcast === "-" ? broadcast : undefined },
  ];
}

function dottedMask(prefixLength: number): string {
  const bits = "1".repeat(prefixLength).padEnd(32, "0");
  return [0, 8, 16, 24].map((at) => Number.parseInt(bits.slice(at, at + 8), 2)).join(".");
}

function gatewayOptions(gateway: string, asked: SystemAddress): WantedOption[] {
  if (!needsOnLink(gateway, asked)) return [{ key: "gateway", value: gateway }, { key: OWN_ROUTE }];
  const ip = isIP(gateway) === 6 ? "ip -6" : "ip";
  const route = `${ip} route replace default via ${gateway} dev ${asked.interface} onlink`;
  return [{ key: "gateway" }, { key: OWN_ROUTE, value: route }];
}

function makeStatic({ edited, header, method }: Stanza): void {
  const line = edited.lines[header] ?? "";
  if (method !== "static") edited.replace(header, line.replace(/\S+(\s*)$/, "static$1"));
}

function writeOptions({ edited, header, options }: Stanza, wanted: readonly WantedOption[]): void {
  const first = options[0] && edited.lines[options[0].line];
  const indentation = first === undefined ? INDENTATION : (/^\s*/.exec(first)?.[0] ?? "");
  for (const { key, value } of wanted) {
    const [found, ...others] = options.filter((one) =>
      key === OWN_ROUTE ? one.key === "up" && ownGateway(one.value) !== undefined : one.key === key,
    );
    for (const { line } of others) edited.remove(line);
    if (value === undefined) {
      if (found) edited.remove(found.line);
    } else if (found) edited.replaceIn(found.line, found.value, value);
    else edited.addAfter(header, `${indentation}${wordOf(key)} ${value}`);
  }
}

const wordOf = (key: string): string => (key === OWN_ROUTE ? "up" : key);

/** After the interface's last one. */
function addStanza(all: readonly Stanza[], asked: SystemAddress, options: readonly WantedOption[]): void {
  const { edited, last } = all.at(-1) ?? {};
  const family = addressFamily(asked) === 6 ? "inet6" : "inet";
  const lines = options.flatMap(({ key, value }) =>
    value === undefined ? [] : [`${INDENTATION}${wordOf(key)} ${value}`],
  );
  if (last !== undefined) edited?.addAfter(last, "", `iface ${asked.interface} ${family} static`, ...lines);
}

/** In one stanza, for both families. */
function setNameServers({ nameServers }: AskedInterface, stanzas: readonly Stanza[]): void {
  if (nameServers.length === 0) return;
  const holder = stanzas.find((one) => optionOf(one, NAME_SERVERS) !== undefined) ?? stanzas[0];
  for (const stanza of stanzas) {
    const value = stanza === holder ? nameServers.join(" ") : undefined;
    // resolvconf reads both words.
    writeOptions(stanza, [{ key: NAME_SERVERS, value }, { key: "dns-nameserver" }]);
  }
}
