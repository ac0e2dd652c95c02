/** Obstacles between this machine and the control plane that its addresses and routes do not show. */
import type { ControlPlaneReach } from "#shared/protocol/inventory.ts";
import { clip, type Machine, readFolder, readText } from "../machine/machine.ts";
import { iniValue, parseIni } from "./ini.ts";

export type Obstacle = ControlPlaneReach["obstacles"][number];
/** The agent's own environment variables. */
export type AgentVariables = Readonly<Record<string, string | undefined>>;

/** What runs on the machine, and how the agent was started. */
export interface Surroundings {
  programs: ReadonlyMap<string, readonly string[]>;
  environment: AgentVariables;
}

export async function findObstacles(
  machine: Machine,
  ports: readonly string[],
  { programs, environment }: Surroundings,
): Promise<Obstacle[]> {
  const found: Obstacle[] = [];
  const namespaces = await Promise.all([1, "self"].map((id) => machine.resolve(`/proc/${id}/ns/net`)));
  if (namespaces[0] !== undefined && namespaces[1] !== undefined && namespaces[0] !== namespaces[1])
    found.push({ kind: "namespace", message: "the agent runs in a network namespace of its own" });
  const vrf = /\/vrf\/([^/\s]+)/.exec((await readText(machine, "/proc/self/cgroup")) ?? "")?.[1];
  if (vrf) found.push({ kind: "vrf", message: clip(`the agent runs in the VRF ${vrf}`) });
  const proxy = proxyOf(environment);
  if (proxy)
    found.push({ kind: "proxy", message: `the agent reaches the control plane through a proxy (${proxy})` });
  for (const device of ports) {
    const sign = await findLogin(machine, device, programs);
    if (sign)
      found.push({
        kind: "login",
        device,
        message: clip(`${device} logs in to its switch by 802.1X: ${sign}`, 500),
      });
  }
  return found.slice(0, 16);
}

/** The variable from which Node takes a proxy. Node uses none without NODE_USE_ENV_PROXY or its option. */
export function proxyOf(environment: AgentVariables): string | undefined {
  const asked =
    environment.NODE_USE_ENV_PROXY === "1" || /--use-env-proxy\b/.test(environment.NODE_OPTIONS ?? "");
  const names = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];
  return asked ? names.find((name) => environment[name]) : undefined;
}

async function findLogin(
  machine: Machine,
  device: string,
  programs: Surroundings["programs"],
): Promise<string | undefined> {
  const supplicants = programs.get("wpa_supplicant") ?? [];
  if (supplicants.some((line) => namesDevice(line.split(" "), device))) return "wpa_supplicant runs for it";
  if ((await machine.list("/run/wpa_supplicant")).includes(device)) return "wpa_supplicant has it";
  for (const folder of ["/etc", "/run"]) {
    for (const { path, text } of await readFolder(machine, `${folder}/NetworkManager/system-connections`)) {
      const connection = parseIni(text);
      const name = iniValue(connection, "connection", "interface-name") ?? device;
      if (name === device && /^\[802-1x\]/m.test(text) && (await isActive(machine, connection))) return path;
    }
  }
  const ifcfg = `/etc/sysconfig/network-scripts/ifcfg-${device}`;
  return /^\s*KEY_MGMT=["']?IEEE8021X/im.test((await readText(machine, ifcfg)) ?? "") ? ifcfg : undefined;
}

/** `-i eth0` or `-ieth0`. */
function namesDevice(words: string[], device: string): boolean {
  return words.some((word, at) => word === `-i${device}` || (word === device && words[at - 1] === "-i"));
}

/** Whether NetworkManager uses this connection for some device. */
async function isActive(machine: Machine, connection: ReturnType<typeof parseIni>): Promise<boolean> {
  const uuid = iniValue(connection, "connection", "uuid");
  const devices = await readFolder(machine, "/run/NetworkManager/devices");
  return uuid !== undefined && devices.some(({ text }) => text.includes(uuid));
}
