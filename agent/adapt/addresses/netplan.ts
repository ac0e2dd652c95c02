import { isIP } from "node:net";
import { basename, matchesGlob } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { SystemAddress } from "#shared/protocol/new-address.ts";
import {
  AddressNotSetError,
  type AskedInterface,
  addressFamily,
  type Configurator,
  gatewayAmong,
  isFormerAddress,
  needsOnLink,
  replacedAmong,
  requireRouter,
  type TextFile,
} from "./asked-interface.ts";
import { EditedLines } from "./edited-lines.ts";
import { blockLines, scalarText } from "./yaml-lines.ts";
import { plainOf, readYaml, type YamlEntry, type YamlNode, type YamlValue, yamlEntry } from "./yaml-text.ts";

type Mapping = Record<string, YamlValue>;

/** Where an administrator's files are; a package's are elsewhere. */
const OWN = "/etc/netplan/";

/** Where a file configures the interface. */
interface Place {
  file: TextFile;
  root: YamlNode;
  /** `network`, the kind of interface, and its id. */
  path: [string, string, string];
  entry: YamlEntry;
}

/** https://netplan.readthedocs.io/en/stable/netplan-yaml/ */
export const netplan: Configurator = {
  name: "netplan",
  reads: [`${OWN}*.yaml`, "/usr/lib/netplan/*.yaml"],
  edited(files, asked) {
    const roots = rootsOf(files);
    const places = [...roots].flatMap(([file, root]) => placesIn({ file, root }, asked));
    const [place, ...others] = places;
    if (!place) return undefined;
    // It joins them: an address in one cannot be taken away in another.
    if (others.length > 0)
      throw new AddressNotSetError(
        `${asked.name} is configured in several places: ${places.map(({ file }) => file.path).join(", ")}`,
      );
    if (!place.file.path.startsWith(OWN))
      throw new AddressNotSetError(`${place.file.path} configures ${asked.name}, and is a package's`);
    const renderers = [...roots.values()].flatMap((root) => rendererIn(root) ?? []);
    return [changed({ ...place, renderer: renderers.at(-1) }, asked)];
  },
};

function read({ path, text }: TextFile): YamlNode {
  try {
    return readYaml(text);
  } catch (error) {
    throw new AddressNotSetError(
      `${path} is not understood: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** In the order in which they are joined, whatever their folders are. One in `/etc` hides a package's. */
function rootsOf(files: readonly TextFile[]): Map<TextFile, YamlNode> {
  const byName = new Map<string, TextFile>();
  for (const file of files)
    if (!byName.get(basename(file.path))?.path.startsWith(OWN)) byName.set(basename(file.path), file);
  const used = [...byName].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return new Map(used.map(([, file]) => [file, read(file)]));
}

function placesIn({ file, root }: Pick<Place, "file" | "root">, asked: AskedInterface): Place[] {
  const network = yamlEntry(root, "network")?.value;
  const kinds = network?.kind === "map" ? network.entries : [];
  return kinds.flatMap(({ key: kind, value }) =>
    value.kind !== "map"
      ? []
      : value.entries.flatMap((entry) =>
          isFor(entry, kind, asked, file)
            ? [{ file, root, path: ["network", kind, entry.key] satisfies Place["path"], entry }]
            : [],
        ),
  );
}

function isFor({ key, value }: YamlEntry, kind: string, asked: AskedInterface, { path }: TextFile): boolean {
  const match = kind === "ethernets" ? yamlEntry(value, "match")?.value : undefined;
  if (!match) return key === asked.name;
  const of = (node: YamlNode, name: string) => {
    const found = yamlEntry(node, name)?.value;
    return found?.kind === "value" ? found.text : undefined;
  };
  if (of(value, "set-name") === asked.name) return true;
  const [address, name] = [of(match, "macaddress")?.toLowerCase(), of(match, "name")];
  if (address !== undefined && address !== asked.card) return false;
  if (name !== undefined && !matchesGlob(asked.name, name)) return false;
  if (address !== undefined || name === asked.name) return true;
  if (asked.card === undefined && name === undefined) return false;
  throw new AddressNotSetError(`${path}: ${key} can be for several interfaces, and for ${asked.name}`);
}

/** `renderer`: of all interfaces that name none. */
function changed(
  { file, root, path, entry, renderer }: Place & { renderer: YamlValue | undefined },
  asked: AskedInterface,
): TextFile {
  const before = plainOf(entry.value);
  const old = before === "" ? {} : before;
  if (typeof old === "string" || Array.isArray(old))
    throw new AddressNotSetError(`${file.path}: ${entry.key} is not understood`);
  requireNoOtherSettings(old, file.path);
  if (isOn(old.dhcp6) && (old.renderer ?? renderer) === "NetworkManager")
    for (const one of asked.addresses) requireRouter(one, file.path);
  const swaps: Swap[] = [];
  let next: Mapping = { ...old };
  for (const address of asked.addresses) next = withAddress(next, address, swaps);
  if (asked.nameServers.length > 0)
    next.nameservers = { ...mapping(next.nameservers), addresses: [...asked.nameServers] };
  const text = isDeepStrictEqual(old, next)
    ? file.text
    : written(file, { root, entry }, { old, next, swaps });
  const expected = structuredClone(plainOf(root)) as Record<string, Record<string, Mapping>>;
  const [network, kind, id] = path;
  if (expected[network]?.[kind]) expected[network][kind][id] = isDeepStrictEqual(old, next) ? before : next;
  if (!isDeepStrictEqual(plainOf(read({ path: file.path, text })), expected))
    throw new AddressNotSetError(`${file.path} cannot be changed with certainty`);
  return { path: file.path, text };
}

/** NetworkManager's own settings count for more than netplan's. */
function requireNoOtherSettings(old: Mapping, path: string): void {
  const own = mapping(mapping(old.networkmanager).passthrough);
  const other = Object.keys(own).find((key) => /^ipv[46]\.(?:address|method|gateway|route)/.test(key));
  if (other !== undefined) throw new AddressNotSetError(`${path} sets ${other} for NetworkManager itself`);
}

function rendererIn(root: YamlNode): YamlValue | undefined {
  const network = yamlEntry(root, "network")?.value;
  const all = yamlEntry(network, "renderer")?.value;
  return all && plainOf(all);
}

function isOn(value: YamlValue | undefined): boolean {
  return typeof value === "string" && /^(?:true|yes|on|y)$/i.test(value);
}

function mapping(value: YamlValue | undefined): Mapping {
  return typeof value === "object" && !Array.isArray(value) ? value : {};
}

/** Words of the file that others take the place of, in the lines of one key. */
interface Swap {
  key: string;
  from: string;
  to: string;
}

function withAddress(port: Mapping, asked: SystemAddress, swaps: Swap[]): Mapping {
  const family = addressFamily(asked);
  const next = { ...port };
  const dhcp = `dhcp${family}`;
  if (isOn(next[dhcp])) next[dhcp] = "false";
  const present = listIn(port, "addresses").map((item, index) => {
    const text = typeof item === "string" ? item : (Object.keys(mapping(item))[0] ?? "");
    return { item, index, text, address: text.split("/")[0] ?? "" };
  });
  const replaced = replacedAmong(
    present.filter(({ address }) => isIP(address) === family),
    asked,
  );
  const value = `${asked.address}/${asked.prefixLength}`;
  const items: YamlValue[] = present.map(({ item }) => item);
  if (!replaced) items.push(value);
  else if (replaced.text !== value) {
    const { item, index, text } = replaced;
    items[index] = typeof item === "string" ? value : { [value]: mapping(item)[text] ?? "" };
    swaps.push({ key: "addresses", from: text, to: value });
  }
  next.addresses = items;
  return withSource(withGateway(next, asked, swaps), asked, swaps);
}

/** The kernel makes no route from an address that the system does not have. */
function withSource(port: Mapping, asked: SystemAddress, swaps: Swap[]): Mapping {
  const routes = listIn(port, "routes").map((route) => {
    const { from } = mapping(route);
    if (typeof from !== "string" || !isFormerAddress(from, asked)) return route;
    swaps.push({ key: "routes", from, to: asked.address });
    return { ...mapping(route), from: asked.address };
  });
  return routes.length === 0 ? port : { ...port, routes };
}

function withGateway(port: Mapping, asked: SystemAddress, swaps: Swap[]): Mapping {
  const family = addressFamily(asked);
  const short = `gateway${family}`;
  const routes = listIn(port, "routes").map((route) => {
    if (typeof route === "object" && !Array.isArray(route)) return route;
    throw new AddressNotSetError(`a route of ${asked.interface} is not understood`);
  });
  const index = routes.findIndex((route) => isDefault(route, family));
  const present = routes.filter((route) => isDefault(route, family)).map((route) => String(route.via));
  if (port[short] !== undefined) present.push(String(port[short]));
  if (present.length > 1) throw new AddressNotSetError(`${asked.interface} has several default routes`);
  const gateway = gatewayAmong(present, asked);
  if (gateway === undefined) return port;
  const isOnLink = needsOnLink(gateway, asked);
  const { [short]: _, ...others } = port;
  const onLink: Mapping = isOnLink ? { "on-link": "true" } : {};
  if (index >= 0) {
    swaps.push({ key: "routes", from: String(routes[index]?.via), to: gateway });
    return { ...port, routes: routes.with(index, { ...routes[index], via: gateway, ...onLink }) };
  }
  if (port[short] !== undefined && !isOnLink) {
    swaps.push({ key: short, from: String(port[short]), to: gateway });
    return { ...port, [short]: gateway };
  }
  // Older versions do not know the word `default`.
  const route = { to: family === 6 ? "::/0" : "0.0.0.0/0", via: gateway, ...onLink };
  return { ...others, routes: [...routes, route] };
}

function isDefault({ to, via, table }: Mapping, family: 4 | 6): boolean {
  const isAll = ["default", "0.0.0.0/0", "0/0", "::/0"].includes(String(to));
  return isAll && table === undefined && isIP(String(via)) === family;
}

function listIn(port: Mapping, key: string): YamlValue[] {
  const value = port[key];
  if (value === undefined || value === "") return [];
  if (!Array.isArray(value)) throw new AddressNotSetError(`${key} is not a list`);
  return value;
}

/** The file with the keys that differ, each as it was written as far as that is possible. */
function written(
  { path, text }: TextFile,
  { root, entry }: Pick<Place, "root" | "entry">,
  { old, next, swaps }: { old: Mapping; next: Mapping; swaps: readonly Swap[] },
): string {
  const edited = new EditedLines(text);
  const { value: port } = entry;
  if (port.kind !== "map" || !port.isInLines) {
    if (!isInOwnLine(root, entry)) throw new AddressNotSetError(`${path} is written in brackets`);
    const line = edited.lines[entry.from] ?? "";
    const indent = line.length - line.trimStart().length;
    edited.replace(entry.from, line.slice(0, line.indexOf(":", indent + entry.key.length) + 1));
    edited.addAfter(entry.from, ...blockLines(next, indent + 2));
    return edited.text;
  }
  for (const key of new Set([...Object.keys(old), ...Object.keys(next)])) {
    const [before, after] = [old[key], next[key]];
    if (isDeepStrictEqual(before, after)) continue;
    const found = port.entries.find((one) => one.key === key);
    const lines = after === undefined ? [] : blockLines({ [key]: after }, port.indent);
    if (!found) edited.addAfter(port.to - 1, ...lines);
    else if (!swapped(edited, found, swaps, after)) {
      for (let line = found.from; line < found.to; line++) edited.remove(line);
      edited.addAfter(found.to - 1, ...lines);
    }
  }
  return edited.text;
}

/** Whether an entry is in a mapping of lines, as its file's other lines are. */
function isInOwnLine(node: YamlNode, entry: YamlEntry): boolean {
  if (node.kind !== "map") return false;
  return node.entries.includes(entry)
    ? node.isInLines
    : node.entries.some(({ value }) => isInOwnLine(value, entry));
}

/** Changes one word in the lines of a key, if nothing else has to change there. */
function swapped(
  edited: EditedLines,
  { key, from, to, value }: YamlEntry,
  swaps: readonly Swap[],
  after: YamlValue | undefined,
): boolean {
  const own = swaps.filter((swap) => swap.key === key);
  const replaceAll = (node: YamlValue): YamlValue => {
    if (typeof node === "string") return own.find((swap) => swap.from === node)?.to ?? node;
    if (Array.isArray(node)) return node.map(replaceAll);
    const entries = Object.entries(node).map(([name, one]) => [String(replaceAll(name)), replaceAll(one)]);
    return Object.fromEntries(entries);
  };
  if (own.length === 0 || !isDeepStrictEqual(replaceAll(plainOf(value)), after)) return false;
  const places = own.map((swap) => {
    const lines: number[] = [];
    for (let line = from; line < to; line++) if (edited.lines[line]?.includes(swap.from)) lines.push(line);
    return { ...swap, lines };
  });
  if (places.some(({ lines }) => lines.length !== 1)) return false;
  for (const {
    lines: [line = 0],
    from: word,
    to: other,
  } of places) {
    const isQuoted = /["']$/.test((edited.lines[line] ?? "").split(word)[0] ?? "");
    edited.replaceIn(line, word, isQuoted ? other : scalarText(other));
  }
  return true;
}
