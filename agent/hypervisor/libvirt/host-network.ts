import { access } from "node:fs/promises";
import { MachineUnsupportedError } from "#shared/errors.ts";
import type { CardLink, MachineShape } from "#shared/protocol/defined-machine.ts";
import type { Virsh } from "./virsh.ts";

/** The first version that can set the VLAN of a card on a bridge of the kernel's own. */
const VLAN_VERSION = 11;

type Bridge = Extract<CardLink, { kind: "bridge" }>;
const bridgesOf = (cards: MachineShape["cards"]): Bridge[] =>
  cards.flatMap(({ link }) => (link.kind === "bridge" ? [link] : []));

/**
 * Which of the cards' bridges Open vSwitch made. Throws `MachineUnsupportedError` for a bridge that this host
 * does not have.
 */
export async function openVswitchBridges(cards: MachineShape["cards"]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const { bridge } of bridgesOf(cards)) {
    if (await exists(`/sys/class/net/${bridge}/bridge`)) continue;
    if (!(await exists(`/sys/class/net/${bridge}`))) throw noBridge(bridge, "there is no such link");
    // Its bridges are links without the kernel's folder for bridges, as all other links are.
    if (!(await exists("/sys/module/openvswitch")) || (await exists(`/sys/class/net/${bridge}/device`)))
      throw noBridge(bridge, "it is a link of another kind");
    found.add(bridge);
  }
  return found;
}

function noBridge(bridge: string, why: string): Error {
  return new MachineUnsupportedError(
    `${bridge} is not a bridge of this host: ${why}`,
    "Make the bridge first, or name another one: `ip -brief link show type bridge` lists them.",
  );
}

/** Throws `MachineUnsupportedError` for a network that libvirt lacks, or a VLAN that it cannot set. */
export async function requireLinks(
  cards: MachineShape["cards"],
  host: { virsh: Virsh; version: string; openVswitch: ReadonlySet<string> },
): Promise<void> {
  const wanted = cards.flatMap(({ link }) => (link.kind === "network" ? [link.network] : []));
  const list = async (...which: string[]) =>
    (await host.virsh.run(["net-list", ...which, "--name"])).split("\n").map((line) => line.trim());
  const all = wanted.length > 0 ? await list("--all") : [];
  const active = wanted.length > 0 ? await list() : [];
  for (const network of wanted) {
    if (!all.includes(network))
      throw new MachineUnsupportedError(
        `libvirt has no network ${network}`,
        "`virsh net-list --all` lists its networks.",
      );
    if (!active.includes(network))
      throw new MachineUnsupportedError(
        `libvirt's network ${network} is not active`,
        `Start it (virsh net-start ${network}), and have it started with the host (virsh net-autostart ${network}).`,
      );
  }
  // An unknown version is not refused: libvirt itself will.
  const major = Number(/daemon: (\d+)\./.exec(host.version)?.[1] ?? VLAN_VERSION);
  const tagged = bridgesOf(cards).find(
    ({ bridge, vlan }) => vlan !== undefined && !host.openVswitch.has(bridge),
  );
  if (tagged && major < VLAN_VERSION)
    throw new MachineUnsupportedError(
      `libvirt before version ${VLAN_VERSION} cannot set a VLAN on ${tagged.bridge}, a bridge of the kernel`,
      "Attach the card to a bridge that is in that VLAN, or define the machine with --hypervisor qemu.",
    );
}

/**
 * Throws `MachineUnsupportedError` for a link to which libvirt cannot move a card of a machine that is on:
 * only bridges of the kernel, without VLANs, can replace each other.
 */
export async function requireConnectable(
  cards: MachineShape["cards"],
  { virsh, openVswitch }: { virsh: Virsh; openVswitch: ReadonlySet<string> },
): Promise<void> {
  for (const { link } of cards) {
    const obstacle = link.kind === "isolated" ? undefined : await obstacleTo(link, virsh, openVswitch);
    if (obstacle === undefined) continue;
    throw new MachineUnsupportedError(
      `libvirt cannot connect a machine that runs to ${obstacle}`,
      "Attach the card to a bridge of the kernel that is in that network, or define the machine with --hypervisor qemu.",
    );
  }
}

async function obstacleTo(
  link: Exclude<CardLink, { kind: "isolated" }>,
  virsh: Virsh,
  openVswitch: ReadonlySet<string>,
): Promise<string | undefined> {
  if (link.vlan !== undefined) return `VLAN ${link.vlan}`;
  if (link.kind === "bridge")
    return openVswitch.has(link.bridge) ? `${link.bridge}, a bridge of Open vSwitch` : undefined;
  const network = await virsh.run(["net-dumpxml", link.network]);
  const isBridge = /<bridge name=/.test(network) && !/<(virtualport|vlan)[ >]/.test(network);
  return isBridge ? undefined : `the network ${link.network}, which is not a plain bridge of the kernel`;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
