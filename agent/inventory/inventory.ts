import type { ListedService } from "#shared/protocol/fence.ts";
import { type Disk, type Inventory, UNKNOWN } from "#shared/protocol/inventory.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import { clip, type Machine, readText } from "../machine/machine.ts";
import { Mounts } from "../machine/mounts.ts";
import {
  collectCpu,
  collectFirmware,
  collectMemoryBytes,
  collectOperatingSystem,
  collectVirtualization,
  readBootId,
} from "../machine/system.ts";
import { collectAgentStart } from "./agent-start.ts";
import { collectBootLoader } from "./boot-loader.ts";
import { type ChosenDisk, collectDisks, isUnused } from "./disks.ts";
import { collectVolumeGroups } from "./lvm.ts";
import { type ControlPlane, collectNetwork } from "./network.ts";
import type { SeenMachine } from "./news.ts";
import { collectRaidArrays } from "./raid.ts";

export interface InventoryOptions {
  machine: Machine;
  now: () => Date;
  /** The disks to offer, image files or devices; if empty, all of the machine's. */
  chosenDisks: readonly ChosenDisk[];
  /** If no disks are chosen, leaves out unused USB media. */
  withoutIdleMedia?: boolean | undefined;
  /** What a source server must reach; absent on other machines. */
  controlPlane?: ControlPlane | undefined;
  /** What a source server's fence keeps down, and what is known of that; absent on other machines. */
  fence?: { services: string[]; look: () => Promise<ListedService[] | undefined> } | undefined;
  /** What a target host has; absent on other machines. */
  target?: TargetOptions | undefined;
}

interface TargetOptions {
  hypervisor: Hypervisor;
  imagesPath: string;
  checkScripts: () => Promise<string[]>;
  /** Why it cannot ask an isolated machine; `undefined` if it can. */
  askerProblem: () => Promise<string | undefined>;
}

/**
 * Describes this Linux machine. Changes nothing, needs root to see everything, and never throws because
 * something is missing: that becomes `"unknown"`, and `missingTools` lists the tools that would have
 * answered.
 */
export async function collectInventory(options: InventoryOptions): Promise<Inventory> {
  const { machine, now, target, controlPlane } = options;
  const mounts = await Mounts.read(machine);
  // Side by side: most of the time passes in programs that are started.
  const [seen, volumeGroups, { network, hasTool }, own, bootLoader, raidArrays, agentStart] =
    await Promise.all([
      collectSeen(options, mounts),
      collectVolumeGroups(machine, mounts),
      collectNetwork(machine, controlPlane),
      collectOwn(machine),
      collectBootLoader(machine, mounts),
      collectRaidArrays(machine, mounts),
      collectAgentStart(machine),
    ]);
  const missingTools: Inventory["missingTools"] = [];
  // A tool that nothing on this machine needs is not reported as missing.
  if (!volumeGroups && holds(seen.disks, "LVM2_member")) missingTools.push({ tool: "vgs", package: "lvm2" });
  if (!hasTool) missingTools.push({ tool: "ip", package: "iproute2" });
  return {
    takenAt: now().toISOString(),
    ...own,
    bootLoader,
    ...seen,
    volumeGroups: volumeGroups ?? [],
    ...{ raidArrays, agentStart, network },
    ...(target && (await collectTarget(machine, target))),
    missingTools,
  };
}

/** The parts that matter before each recovery point, many times as fast as everything. Never throws. */
export async function collectSeenMachine(options: InventoryOptions): Promise<SeenMachine> {
  return collectSeen(options, await Mounts.read(options.machine));
}

async function collectSeen(
  { machine, chosenDisks, withoutIdleMedia, fence }: InventoryOptions,
  mounts: Mounts,
): Promise<SeenMachine> {
  const [disks, fenced] = await Promise.all([
    collectDisks(machine, mounts, chosenDisks, { withoutIdleMedia }),
    collectFenced(fence),
  ]);
  return { disks: disks.map((disk) => ({ ...disk, inUse: !isUnused(disk) })), ...fenced };
}

/** What the kernel and the firmware say of the machine itself. */
async function collectOwn(machine: Machine) {
  const hostname = await readText(machine, "/proc/sys/kernel/hostname");
  return {
    hostname: clip(hostname ?? UNKNOWN),
    bootId: await readBootId(machine),
    operatingSystem: await collectOperatingSystem(machine),
    firmware: await collectFirmware(machine),
    cpu: await collectCpu(machine),
    memoryBytes: await collectMemoryBytes(machine),
    virtualization: await collectVirtualization(machine),
  };
}

async function collectFenced(fence: InventoryOptions["fence"]): Promise<Omit<SeenMachine, "disks">> {
  if (!fence) return {};
  const fencedUnits = await fence.look();
  return { fencedServices: fence.services, ...(fencedUnits && { fencedUnits }) };
}

async function collectTarget(
  machine: Machine,
  { hypervisor, imagesPath, checkScripts, askerProblem }: TargetOptions,
): Promise<Pick<Inventory, "hypervisor" | "images" | "checkScripts" | "isolatedChecks">> {
  const freeBytes = await machine.freeBytes(imagesPath);
  const problem = await askerProblem();
  return {
    hypervisor: await hypervisor.describe(machine),
    images: { path: imagesPath, freeBytes },
    checkScripts: await checkScripts(),
    isolatedChecks: problem === undefined ? {} : { problem },
  };
}

function holds(disks: readonly Disk[], type: string): boolean {
  return disks.some(
    (disk) => disk.content?.type === type || disk.partitions.some((each) => each.content.type === type),
  );
}
