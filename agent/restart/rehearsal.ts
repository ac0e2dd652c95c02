/**
 * Whether the boot environment's own script turns the plan into the network with which the source reaches the
 * control plane.
 */
import * as z from "zod";
import { bootEnvironmentNetworkOf, type CarriedPath } from "#shared/domain/boot-environment-network.ts";
import { hardwareAddressOf } from "#shared/domain/hardware-address.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { formatNetworkPlan } from "../boot-image/network-plan.ts";
import type { NetworkScripts } from "../boot-image/network-scripts.ts";
import { parseAnswer } from "../inventory/control-plane-paths.ts";
import { parseResolvConf } from "../inventory/name-servers.ts";
import type { Machine } from "../machine/machine.ts";
import { networkPlanOf } from "./network-plan-of.ts";
import { NO_PORTS, REHEARSAL_SCRIPT } from "./rehearsal-script.ts";

/**
 * The outcome of a network rehearsal. `unknown`: why it could not run. `differences`: what differed; empty if
 * nothing did.
 */
export type Rehearsal = { unknown: string } | { differences: string[] };

const Addresses = z.array(
  z.object({
    ifname: z.string(),
    addr_info: z.array(z.object({ local: z.string(), prefixlen: z.int(), scope: z.string() })).default([]),
  }),
);

/**
 * Runs the script on the source in namespaces of its own, whose ports have the source's names and hardware
 * addresses and are connected to nothing. It uses the source's leases: no DHCP server is asked. Addresses
 * from router advertisements are not rehearsed. Leaves nothing behind, however it ends.
 */
export async function rehearseNetwork(
  machine: Pick<Machine, "run">,
  network: Inventory["network"],
  scripts: NetworkScripts,
): Promise<Rehearsal> {
  const plan = networkPlanOf({ network });
  const { interfaces, carried } = bootEnvironmentNetworkOf(network);
  const paths = carried.filter(({ address }) => address.origin !== "router");
  if (!plan || paths.length === 0) return { differences: [] };
  const ports = interfaces.flatMap((each) => {
    const mac = hardwareAddressOf(each);
    return each.kind === "ethernet" && mac ? [`${each.name} ${mac}\n`] : [];
  });
  const printed = await machine.run(
    // The script is the first process of its namespace: when it ends or is killed, the kernel ends all
    // others.
    ...["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", REHEARSAL_SCRIPT, "sh"],
    ...[scripts.network, scripts.dhcp, scripts.functions, formatNetworkPlan(plan)],
    ...[ports.join(""), leasesOf(paths, network).join(""), paths.map(({ path }) => path.address).join("\n")],
  );
  if (!printed) return { unknown: "unshare is not installed: install util-linux" };
  if (printed.status === undefined)
    return { unknown: "it did not end in time: try again when the machine is less busy" };
  if (printed.output.startsWith(NO_PORTS))
    return { unknown: "this kernel has no ports of type veth: install its package of additional modules" };
  const sections = printed.output.split("---\n");
  if (printed.status !== 0 || sections.length < 4 + paths.length)
    return { unknown: "network namespaces cannot be created here, or `ip` is not installed" };
  return { differences: compare(sections, paths, plan.nameservers ?? []) };
}

/** As the DHCP script gets them; the router is the one that the source uses on that port. */
function leasesOf(paths: readonly CarriedPath[], { routes }: Inventory["network"]): string[] {
  const leases = new Map<string, string>();
  for (const { path, device, address } of paths) {
    if (address.origin !== "lease" || leases.has(device)) continue;
    const used = paths.find((each) => each.device === device && each.path.destination === "default");
    const known = routes.find((route) => route.destination === "default" && route.device === path.device);
    const gateway = used?.path.gateway ?? known?.gateway ?? "-";
    leases.set(device, `${device} ${address.address} ${address.prefixLength} ${gateway}\n`);
  }
  return [...leases.values()];
}

function compare(
  [said = "", addresses = "", resolver = "", , ...ways]: string[],
  paths: readonly CarriedPath[],
  servers: readonly string[],
): string[] {
  const [status, ...lines] = said.trim().split("\n");
  const differences = lines.filter(Boolean);
  if (status !== "status 0") differences.push("the script brought up no address");
  const wanted = new Set(
    paths.map(({ device, address }) => `${device} ${address.address}/${address.prefixLength}`),
  );
  const had = globalAddresses(addresses);
  for (const each of wanted) if (!had.has(each)) differences.push(`${each} is missing`);
  for (const each of had) if (!wanted.has(each)) differences.push(`${each} is not how the source reaches it`);
  for (const [index, each] of paths.entries()) {
    const [expected, found] = [wayOf(each), wayFound(ways[index])];
    const outcome = found ? `would be reached ${found}` : "would not be reached at all";
    if (expected !== found)
      differences.push(`${each.path.address} ${outcome}; the source reaches it ${expected}`);
  }
  const asked = parseResolvConf(resolver).servers;
  if (asked.slice(0, servers.length).join() !== servers.join())
    differences.push(`the name servers would be ${asked.join(", ") || "none"}, not ${servers.join(", ")}`);
  return differences;
}

function globalAddresses(json: string): Set<string> {
  const links = Addresses.safeParse(parsed(json)).data ?? [];
  return new Set(
    links.flatMap(({ ifname, addr_info }) =>
      addr_info
        .filter(({ scope }) => scope === "global")
        .map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`),
    ),
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function wayOf({ path, device, address }: CarriedPath): string {
  return way(device, path.gateway, address.address);
}

function wayFound(json: string | undefined): string | undefined {
  const answer = parseAnswer(json);
  return answer?.dev && way(answer.dev, answer.gateway ?? answer.via?.host, answer.prefsrc);
}

function way(device: string, gateway: string | undefined, source: string | undefined): string {
  return `over ${device}${gateway ? ` by ${gateway}` : ""} from ${source ?? "no address"}`;
}
