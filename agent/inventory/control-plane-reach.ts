/** How this machine reaches its control plane: what a boot environment in its place would need. */
import { isIP } from "node:net";
import type { ControlPlaneReach, NetworkPath } from "#shared/protocol/inventory.ts";
import { clip, type Machine, readText } from "../machine/machine.ts";
import { findPaths, resolveHost } from "./control-plane-paths.ts";
import { type Dns, isLoopback } from "./name-servers.ts";
import { findObstacles, type Surroundings } from "./network-obstacles.ts";

/** glibc asks at most this many. */
const NAME_SERVERS = 3;

export interface ReachOptions {
  /** The control plane's hosts: names or addresses. */
  hosts: readonly string[];
  dns: Dns;
  /** Ethernet ports, on which a switch may require a login. */
  ports: readonly string[];
  surroundings: Surroundings;
}

export async function collectReach(
  machine: Machine,
  { hosts, dns, ports, surroundings }: ReachOptions,
): Promise<ControlPlaneReach> {
  const paths: NetworkPath[] = [];
  const unreached: string[] = [];
  for (const host of hosts) {
    const addresses = await resolveHost(machine, host);
    if (addresses === undefined) unreached.push(`${host}: its address cannot be found without getent`);
    else if (addresses.length === 0) unreached.push(`${host}: its name does not resolve`);
    else {
      const found = await findPaths(machine, { to: host, use: "control-plane" }, addresses);
      if (found.length === 0) unreached.push(`${host} (${addresses.join(", ")}): there is no route to it`);
      paths.push(...found);
    }
  }
  const named = parseHosts((await readText(machine, "/etc/hosts")) ?? "", hosts);
  const asked = hosts.filter((host) => !isIP(host) && !named.some(({ name }) => name === host));
  const servers = dns.servers.filter((server) => isIP(server) && !isLoopback(server)).slice(0, NAME_SERVERS);
  const serverPaths: NetworkPath[] = [];
  if (asked.length > 0) {
    for (const server of servers)
      serverPaths.push(...(await findPaths(machine, { to: server, use: "name-server" }, [server])));
  }
  // A server on this machine answers on the loopback interface, whatever its address.
  const isElsewhere = serverPaths.some(({ device }) => device !== "lo");
  return {
    paths: [...paths, ...serverPaths].slice(0, 96),
    unreached: unreached.map((text) => clip(text, 500)).slice(0, 16),
    hosts: named.slice(0, 32),
    ...(asked.length > 0 && !isElsewhere && { resolverProblem: resolverProblem(dns) }),
    canRehearse: await canRehearse(machine),
    obstacles: await findObstacles(machine, ports, surroundings),
  };
}

/** Whether this machine can create namespaces, and ports in them that are connected to nothing. */
async function canRehearse(machine: Pick<Machine, "run">): Promise<boolean> {
  const addPorts = ["ip", "link", "add", "near0", "type", "veth", "peer", "name", "far0"];
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
  return (await machine.run("unshare", ...namespaces, ...addPorts))?.status === 0;
}

/** The lines of a hosts file for these hosts. */
export function parseHosts(text: string, hosts: readonly string[]): ControlPlaneReach["hosts"] {
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (!isIP(address)) return [];
    return hosts.filter((host) => names.includes(host)).map((name) => ({ address, name: clip(name) }));
  });
}

function resolverProblem({ servers }: Dns): string {
  return servers.length === 0
    ? "the machine has no name server"
    : `names are resolved by ${servers.join(", ")} on this machine, and the servers that it asks are unknown`;
}
