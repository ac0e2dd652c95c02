/** The ports, routers and addresses that the kernel uses for the control plane. */
import { isIP, isIPv6 } from "node:net";
import * as z from "zod";
import type { NetworkPath } from "#shared/protocol/inventory.ts";
import { clip, type Machine } from "../machine/machine.ts";

/** S3 has many; what holds for some holds for all. */
const ADDRESSES_OF_A_HOST = 6;

/** A router of the other family. */
const Via = z.object({ host: z.string() });
const Answer = z.array(
  z.object({
    type: z.string().optional(),
    dst: z.string(),
    gateway: z.string().optional(),
    via: Via.optional(),
    dev: z.string().optional(),
    prefsrc: z.string().optional(),
    protocol: z.string().optional(),
  }),
);
type Answer = z.infer<typeof Answer>[number];

/** The addresses of a host as this machine's programs find them; `undefined` if that cannot be determined. */
export async function resolveHost(machine: Machine, host: string): Promise<string[] | undefined> {
  if (isIP(host)) return [host];
  const result = await machine.run("getent", "ahosts", host);
  if (!result) return undefined;
  const addresses = result.output.split("\n").map((line) => line.split(/\s/)[0] ?? "");
  return [...new Set(addresses.filter((address) => isIP(address)))].slice(0, ADDRESSES_OF_A_HOST);
}

/** The kernel's own decision for each address; leaves out those without a route. */
export async function findPaths(
  machine: Machine,
  { to, use }: Pick<NetworkPath, "to" | "use">,
  addresses: readonly string[],
): Promise<NetworkPath[]> {
  const paths: NetworkPath[] = [];
  for (const address of addresses) {
    const way = parseAnswer((await machine.run("ip", "-json", "route", "get", address))?.output);
    if (!way?.dev || (way.type !== undefined && way.type !== "unicast" && way.type !== "local")) continue;
    // Kernels before 4.13 do not report which route matched.
    const asked = await machine.run("ip", "-json", "route", "get", "fibmatch", address);
    const route = asked?.status === 0 ? parseAnswer(asked.output) : undefined;
    const gateway = way.gateway ?? way.via?.host;
    paths.push({
      ...{ to: clip(to), use, address },
      device: clip(way.dev),
      ...(gateway && { gateway: clip(gateway) }),
      ...(way.prefsrc && { source: clip(way.prefsrc) }),
      destination: clip(route ? wholePrefix(route.dst, address) : address),
      ...(route?.protocol && { protocol: clip(route.protocol) }),
    });
  }
  return paths;
}

/** A route to one host is printed without its length. */
function wholePrefix(destination: string, address: string): string {
  if (destination === "default" || destination.includes("/")) return destination;
  return `${destination}/${isIPv6(address) ? 128 : 32}`;
}

export function parseAnswer(output: string | undefined): Answer | undefined {
  try {
    return Answer.parse(JSON.parse(output ?? ""))[0];
  } catch {
    return undefined;
  }
}
