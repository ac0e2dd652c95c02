/** For tests: what `ip` prints on a machine with a given network, from a real kernel in a namespace. */
import { execFileSync } from "node:child_process";
import { RecordedMachine } from "../../machine/testing/recorded-machine.ts";

export interface Laboratory {
  /** Ports by name, with their hardware addresses. */
  ports?: Record<string, string>;
  /** Arguments of `ip`, one command a line, run once the ports are up. */
  setup: string;
  /** Addresses for which the kernel is asked for the route. */
  targets: string[];
  files?: Record<string, string>;
  links?: Record<string, string>;
  /** What other programs print. */
  commands?: Record<string, string>;
  /** Changes what `ip address` printed, for what no namespace can have. */
  change?: (links: LinkJson[]) => void;
}

export interface LinkJson {
  ifname: string;
  master?: string;
  linkinfo?: { info_kind?: string };
  [field: string]: unknown;
}

/** A machine with one Ethernet port by default. Nothing of it is connected to anything. */
export function machineInLaboratory({
  ports = { eth0: "52:54:00:00:00:01" },
  setup,
  targets,
  files = {},
  links = {},
  commands = {},
  change,
}: Laboratory): RecordedMachine {
  const asked = [
    "ip -json -details address show",
    "ip -json -4 route show",
    "ip -json -6 route show",
    ...targets.flatMap((target) => [`ip -json route get ${target}`, `ip -json route get fibmatch ${target}`]),
  ];
  const cables = Object.entries(ports).map(
    ([name, mac], index) =>
      `ip link add ${name} address ${mac} type veth peer name cable${index} && ip link set cable${index} up && ip link set ${name} up`,
  );
  const script = [
    // IPv6 addresses are ready as soon as their port is.
    "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad",
    "ip link set lo up",
    ...cables,
    ...setup
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean)
      .map((line) => `ip ${line} || exit 9`),
    'until [ -z "$(ip -6 -o address show tentative)" ]; do sleep 0.02; done',
    ...asked.map((command) => `${command} 2>/dev/null; echo; echo ---`),
  ].join("\n");
  const namespace = process.getuid?.() === 0 ? ["--net"] : ["--user", "--map-root-user", "--net"];
  const printed = execFileSync("unshare", [...namespace, "sh", "-c", script], { encoding: "utf8" });
  const outputs = printed.split("\n---\n");
  const recorded = Object.fromEntries(
    asked.map((command, index) => [command, (outputs[index] ?? "").trim()]),
  );
  recorded[asked[0] ?? ""] = asPorts(recorded[asked[0] ?? ""] ?? "[]", change);
  return new RecordedMachine({ commands: { ...recorded, ...commands }, files, links });
}

/** The ends of cables here stand for hardware ports; their other ends do not exist. */
function asPorts(json: string, change: Laboratory["change"]): string {
  const links = (JSON.parse(json) as LinkJson[]).filter(({ ifname }) => !ifname.startsWith("cable"));
  for (const link of links) if (link.linkinfo?.info_kind === "veth") delete link.linkinfo;
  change?.(links);
  return JSON.stringify(links);
}
