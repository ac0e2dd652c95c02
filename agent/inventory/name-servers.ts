/** Finds the name servers behind a resolver of the machine's own. */
import { isIP } from "node:net";
import { clip, type Machine, readFolder, readText } from "../machine/machine.ts";

export interface Dns {
  servers: string[];
  search: string[];
}

/** glibc's default, if the file names none. */
const DEFAULT_SERVER = "127.0.0.1";

/**
 * The servers and search domains of this machine. For a resolver on the machine itself (`ownAddresses`),
 * returns the servers that it asks, or its own address if they are unknown.
 */
export async function collectDns(machine: Machine, ownAddresses: readonly string[]): Promise<Dns> {
  const text = await readText(machine, "/etc/resolv.conf");
  if (text === undefined) return { servers: [], search: [] };
  const own = parseResolvConf(text);
  const asked = own.servers.length > 0 ? own.servers : [DEFAULT_SERVER];
  const isOwn = (server: string) => isLoopback(server) || ownAddresses.includes(server);
  const usesResolved = /^hosts:.*\bresolve\b/m.test((await readText(machine, "/etc/nsswitch.conf")) ?? "");
  if (!usesResolved && !asked.some(isOwn)) return own;
  for (const find of BEHIND) {
    const behind = await find(machine);
    const servers = behind.servers.filter((server) => isIP(server) && !isOwn(server));
    if (servers.length > 0) {
      const search = behind.search.length > 0 ? behind.search : own.search;
      return { servers: servers.slice(0, 16), search };
    }
  }
  return { servers: asked, search: own.search };
}

/** Whether a server is on this machine, where another system could not ask it. */
export function isLoopback(server: string): boolean {
  return /^(?:127\.|0\.0\.0\.0$|::1$|::$|::ffff:127\.)/.test(server);
}

export function parseResolvConf(text: string): Dns {
  const servers: string[] = [];
  let search: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && values[0]) servers.push(clip(values[0]));
    if (keyword === "search" || keyword === "domain") search = values.map((value) => clip(value));
  }
  return { servers: servers.slice(0, 16), search: search.slice(0, 16) };
}

/** Where local resolvers keep the servers they ask, one row each, the most common first. */
const BEHIND: readonly ((machine: Machine) => Promise<Dns>)[] = [
  resolvConfAt("/run/systemd/resolve/resolv.conf"),
  resolvConfAt("/run/NetworkManager/no-stub-resolv.conf"),
  async (machine) => {
    const text = await textOf(
      machine,
      ["/etc/dnsmasq.conf"],
      ["/etc/dnsmasq.d", "/run/NetworkManager/dnsmasq.d"],
    );
    const servers = [...text.matchAll(/^server=([0-9a-f.:]+)(?:#53)?\s*$/gim)].map(
      ([, server = ""]) => server,
    );
    const file = /^resolv-file=(\S+)$/m.exec(text)?.[1];
    if (servers.length > 0 || !file) return { servers, search: [] };
    return resolvConfAt(file)(machine);
  },
  // Debian's resolvconf, for dnsmasq.
  resolvConfAt("/run/dnsmasq/resolv.conf"),
  resolvConfAt("/run/resolvconf/resolv.conf"),
  async (machine) => {
    const text = await textOf(machine, ["/etc/unbound/unbound.conf"], ["/etc/unbound/unbound.conf.d"]);
    const [, ...zones] = text.split(/^\s*forward-zone:/m);
    const root = zones.find((zone) => /^\s*name:\s*"?\.["\s]/m.test(zone)) ?? "";
    const servers = [...root.matchAll(/^\s*forward-addr:\s*([0-9a-f.:]+)(?:@53)?\s*$/gim)];
    return { servers: servers.map(([, server = ""]) => server), search: [] };
  },
  async (machine) => {
    const text = await textOf(machine, [
      "/etc/bind/named.conf.options",
      "/etc/bind/named.conf",
      "/etc/named.conf",
    ]);
    const block = /^\s*forwarders\s*\{([^}]*)\}/m.exec(text)?.[1] ?? "";
    return { servers: block.split(";").map((server) => server.trim()), search: [] };
  },
];

function resolvConfAt(path: string): (machine: Machine) => Promise<Dns> {
  return async (machine) => parseResolvConf((await readText(machine, path)) ?? "");
}

async function textOf(machine: Machine, files: string[], folders: string[] = []): Promise<string> {
  const texts = await Promise.all(files.map((file) => readText(machine, file)));
  const more = await Promise.all(folders.map((folder) => readFolder(machine, folder)));
  return [...texts, ...more.flat().map(({ text }) => text)].filter((text) => text !== undefined).join("\n");
}
