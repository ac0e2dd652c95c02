import { setTimeout } from "node:timers/promises";
import {
  HypervisorFailedError,
  MachineNotOursError,
  MachineNotStoppedError,
  MachineRunningError,
} from "#shared/errors.ts";
import type { MachinePower, MachineShape } from "#shared/protocol/defined-machine.ts";
import {
  ANNOUNCE,
  type KeptMachine,
  type MachineConsole,
  type MachineKeeper,
  UNPLUGGED_MS,
} from "../machine-keeper.ts";
import { findUefiFirmware } from "../qemu/uefi-firmware.ts";
import {
  cardXml,
  domainXml,
  isolatedNetworkName,
  isolatedNetworkXml,
  linkNow,
  METADATA_URI,
  poolXml,
} from "./domain.ts";
import { openVswitchBridges, requireConnectable, requireLinks } from "./host-network.ts";
import { qemuUser, requireReachable } from "./images-access.ts";
import { openTtyConsole } from "./tty-console.ts";
import { localVirsh, type Virsh } from "./virsh.ts";

const SHUTDOWN_LIMIT_SECONDS = 300;
/** A system that is still starting misses the button, so it is pressed again. */
const PRESS_AGAIN_SECONDS = 20;
const LOOK_AGAIN_MS = 1000;

/** How libvirt calls its kinds of things, and the document of each. */
const KINDS = {
  machine: { list: ["list", "--all"], define: "define" },
  network: { list: ["net-list", "--all"], define: "net-define" },
  pool: { list: ["pool-list", "--all"], define: "pool-define" },
} as const;
type Kind = keyof typeof KINDS;

interface Item {
  uuid: string;
  name: string;
}

/** What libvirt has. */
type Listed = Record<Kind, Item[]>;

const has = (items: readonly Item[], uuid: string): boolean => items.some((one) => one.uuid === uuid);

/** What libvirt has of a machine, and the name of each. */
function namesOf({ name }: KeptMachine): [Kind, string][] {
  return [
    ["machine", name],
    ["network", isolatedNetworkName(name)],
    ["pool", name],
  ];
}

/** Machines of libvirt on this host. Everything of it has the machine's uuid, and is recognised by that. */
export class Libvirt implements MachineKeeper {
  readonly kind = "libvirt";
  readonly #virsh: Virsh;
  readonly #shutdownLimitSeconds: number;
  readonly #unpluggedMs: number;

  constructor(
    virsh: Virsh = localVirsh,
    { shutdownLimitSeconds = SHUTDOWN_LIMIT_SECONDS, unpluggedMs = UNPLUGGED_MS } = {},
  ) {
    this.#virsh = virsh;
    this.#shutdownLimitSeconds = shutdownLimitSeconds;
    this.#unpluggedMs = unpluggedMs;
  }

  async draft(machine: KeptMachine) {
    return this.#drafted(machine, await this.#listed());
  }

  async #drafted(machine: KeptMachine, listed: Listed) {
    const { shape, folder } = machine;
    const virsh = this.#virsh;
    const version = await virsh.run(["version", "--daemon"]);
    const openVswitch = await openVswitchBridges(shape.cards);
    await requireLinks(shape.cards, { virsh, version, openVswitch });
    if (machine.isolated) await requireConnectable(shape.cards, { virsh, openVswitch });
    await requireReachable(folder, await qemuUser());
    for (const [kind, name] of namesOf(machine)) requireFree(listed[kind], kind, machine, name);
    const uefi = shape.firmware === "uefi" ? await findUefiFirmware() : undefined;
    const kvm = shape.acceleration === "if-offered" && (await this.#offersKvm());
    const isolated = hasIsolatedCard(machine);
    return [
      { name: "pool", text: poolXml(machine) },
      ...(isolated ? [{ name: "network", text: isolatedNetworkXml(machine) }] : []),
      { name: "domain", text: domainXml(machine, { kvm, uefi, openVswitch }) },
    ];
  }

  async define(machine: KeptMachine): Promise<void> {
    const { name, uuid } = machine;
    const listed = await this.#listed();
    const drafts = await this.#drafted(machine, listed);
    for (const [kind, own] of namesOf(machine)) await this.#requireOurs(listed[kind], kind, machine, own);
    if (has(listed.machine, uuid) && (await this.#runState(uuid)) !== "off")
      throw new MachineRunningError(name, "defined again");
    const kinds = { pool: "pool", network: "network", domain: "machine" } as const;
    for (const { name, text } of drafts) {
      const kind = kinds[name as keyof typeof kinds];
      // A pool or network that is there is the same, and may be in use.
      if (kind !== "machine" && has(listed[kind], uuid)) continue;
      await this.#virsh.run([KINDS[kind].define], text);
    }
    await Promise.all([
      this.#activate("pool", uuid),
      hasIsolatedCard(machine) && this.#activate("network", uuid),
    ]);
  }

  async power({ uuid }: KeptMachine): Promise<MachinePower | undefined> {
    if (!has(await this.#all("machine"), uuid)) return undefined;
    return (await this.#runState(uuid)) === "off" ? "off" : "on";
  }

  /**
   * `saved`: libvirt's service for guests has saved its memory when the host shut down. Its system continues
   * from there with the next start, so its disks must stay as they are.
   */
  async #runState(uuid: string): Promise<"running" | "saved" | "off"> {
    const state = (await this.#virsh.run(["domstate", "--domain", uuid])).trim();
    // Paused machines and those that are shutting down still have their disks open.
    if (!["shut off", "crashed"].includes(state)) return "running";
    const saved = await this.#virsh.run(["list", "--all", "--with-managed-save", "--uuid"]);
    return saved.includes(uuid) ? "saved" : "off";
  }

  async start(machine: KeptMachine): Promise<void> {
    if ((await this.#runState(machine.uuid)) === "running") return;
    if (hasIsolatedCard(machine)) await this.#activate("network", machine.uuid);
    await this.#virsh.run(["start", "--domain", machine.uuid]);
  }

  async connect(machine: KeptMachine): Promise<void> {
    const { uuid, name, shape } = machine;
    const listed = await this.#listed();
    const domain = (await this.#drafted(machine, listed)).find((draft) => draft.name === "domain");
    await this.#requireOurs(listed.machine, "machine", machine, name);
    // First what it has when it is switched on again.
    await this.#virsh.run(["define"], domain?.text);
    const state = await this.#runState(uuid);
    // It has the cards of an isolated machine, and what it knows besides no client has seen.
    if (state === "saved") await this.#virsh.run(["managedsave-remove", "--domain", uuid]);
    if (state !== "running") return;
    const openVswitch = await openVswitchBridges(shape.cards);
    const cards = shape.cards.filter(({ link }) => link.kind !== "isolated");
    for (const card of cards) {
      const document = cardXml(card, machine, openVswitch);
      await this.#virsh.run(["update-device", "--domain", uuid, "--live", "--file"], document);
    }
    await this.#setLinks(uuid, cards, "down");
    await setTimeout(this.#unpluggedMs);
    await this.#setLinks(uuid, cards, "up");
    await this.#virsh.run(["qemu-monitor-command", "--domain", uuid, "--hmp", ANNOUNCE]);
  }

  async #setLinks(uuid: string, cards: MachineShape["cards"], state: "up" | "down"): Promise<void> {
    for (const { address } of cards) {
      const card = ["--interface", address, "--state", state];
      await this.#virsh.run(["domif-setlink", "--domain", uuid, ...card]);
    }
  }

  async isolatedBridge({ uuid, name }: KeptMachine): Promise<string> {
    const [, bridge] = /^Bridge:\s+(\S+)$/m.exec(await this.#virsh.run(["net-info", uuid])) ?? [];
    if (bridge === undefined)
      throw new HypervisorFailedError(`the isolated network of ${name} has no bridge`);
    return bridge;
  }

  async openConsole({ uuid }: KeptMachine): Promise<MachineConsole> {
    return openTtyConsole((await this.#virsh.run(["ttyconsole", "--domain", uuid])).trim());
  }

  async stop(machine: KeptMachine, { atOnce, signal }: { atOnce: boolean; signal: AbortSignal }) {
    const { name, uuid } = machine;
    for (let waited = 0; (await this.power(machine)) === "on"; waited += LOOK_AGAIN_MS / 1000) {
      const isSaved = (await this.#runState(uuid)) === "saved";
      // To obey its button it would have to run, which perhaps it may not.
      if (waited >= this.#shutdownLimitSeconds || (isSaved && !atOnce))
        throw new MachineNotStoppedError(name, waited);
      try {
        if (atOnce) await this.#virsh.run([isSaved ? "managedsave-remove" : "destroy", "--domain", uuid]);
        else if (waited % PRESS_AGAIN_SECONDS === 0) await this.#virsh.run(["shutdown", "--domain", uuid]);
      } catch (error) {
        // It may have ended by itself in between.
        if ((await this.power(machine)) === "on") throw error;
      }
      if (!atOnce) await setTimeout(LOOK_AGAIN_MS, undefined, { signal });
    }
  }

  async undefine(machine: KeptMachine): Promise<void> {
    const { name, uuid } = machine;
    const power = await this.power(machine);
    if (power === "on") throw new MachineRunningError(name, "removed");
    if (power === "off") {
      await this.#requireOurs(await this.#all("machine"), "machine", machine, name);
      // `--nvram`, without which libvirt refuses to remove a machine with UEFI. Never `--remove-all-storage`.
      await this.#virsh.run(["undefine", "--domain", uuid, "--nvram", "--snapshots-metadata"]);
    }
    await this.#remove("network", uuid);
    // Not `pool-delete`, which removes the folder.
    await this.#remove("pool", uuid);
  }

  /** Throws `MachineNotOursError` if what has our uuid was not made for this conversion. */
  async #requireOurs(
    items: readonly Item[],
    kind: Kind,
    { uuid, ownerId }: KeptMachine,
    name: string,
  ): Promise<void> {
    const own = items.find((one) => one.uuid === uuid);
    if (!own) return;
    if (own.name !== name)
      throw new MachineNotOursError(`libvirt's ${kind} ${own.name}`, "it has the uuid of another one");
    if (kind === "machine" && !(await this.#isMarked(uuid, ownerId)))
      throw new MachineNotOursError(`libvirt's machine ${name}`, `it is not marked as made for ${ownerId}`);
  }

  async #isMarked(uuid: string, ownerId: string): Promise<boolean> {
    const args = ["metadata", "--domain", uuid, "--uri", METADATA_URI, "--config"];
    const metadata = await this.#virsh.run(args).catch((error) => {
      if (error instanceof HypervisorFailedError) return "";
      throw error;
    });
    return /<machine [^>]*\bowner=(["'])([^"']*)\1/.exec(metadata)?.[2] === ownerId;
  }

  /** Side by side: each call starts a program, and an outage waits for it. */
  async #listed(): Promise<Listed> {
    const [machine, network, pool] = await Promise.all([
      this.#all("machine"),
      this.#all("network"),
      this.#all("pool"),
    ]);
    return { machine, network, pool };
  }

  async #all(kind: Kind): Promise<Item[]> {
    if (kind === "network") return this.#networks();
    const listed = await this.#virsh.run([...KINDS[kind].list, "--uuid", "--name"]);
    return listed.split("\n").flatMap((line) => {
      const [, uuid, name] = /^\s*([0-9a-f-]{36})\s+(.*\S)\s*$/.exec(line) ?? [];
      return uuid && name ? [{ uuid, name }] : [];
    });
  }

  /** `net-list` prints names or uuids, but never both. */
  async #networks(): Promise<Item[]> {
    const uuids = (await this.#virsh.run(["net-list", "--all", "--uuid"])).match(/[0-9a-f-]{36}/g) ?? [];
    const name = async (uuid: string) => (await this.#virsh.run(["net-name", uuid])).trim();
    return Promise.all(uuids.map(async (uuid) => ({ uuid, name: await name(uuid) })));
  }

  async #activate(kind: "network" | "pool", uuid: string): Promise<void> {
    const prefix = kind === "network" ? "net" : "pool";
    if (await this.#isActive(kind, uuid)) return;
    await this.#virsh.run([`${prefix}-start`, uuid]);
    await this.#virsh.run([`${prefix}-autostart`, uuid]);
  }

  async #remove(kind: "network" | "pool", uuid: string): Promise<void> {
    const prefix = kind === "network" ? "net" : "pool";
    if (!has(await this.#all(kind), uuid)) return;
    if (await this.#isActive(kind, uuid)) await this.#virsh.run([`${prefix}-destroy`, uuid]);
    await this.#virsh.run([`${prefix}-undefine`, uuid]);
  }

  async #isActive(kind: "network" | "pool", uuid: string): Promise<boolean> {
    const prefix = kind === "network" ? "net" : "pool";
    const active = await this.#virsh.run([`${prefix}-list`, "--uuid"]);
    return active.includes(uuid);
  }

  async #offersKvm(): Promise<boolean> {
    return this.#virsh.run(["domcapabilities", "--virttype", "kvm"]).then(
      () => true,
      (error) => {
        if (error instanceof HypervisorFailedError) return false;
        throw error;
      },
    );
  }
}

/** Throws `MachineNotOursError` if something else has the name. */
function requireFree(items: readonly Item[], kind: Kind, { uuid }: KeptMachine, name: string): void {
  const other = items.find((one) => one.name === name && one.uuid !== uuid);
  if (other) throw new MachineNotOursError(`libvirt's ${kind} ${name}`, "Causeway did not define it");
}

function hasIsolatedCard(machine: KeptMachine): boolean {
  return machine.shape.cards.some((card) => linkNow(card, machine).kind === "isolated");
}
