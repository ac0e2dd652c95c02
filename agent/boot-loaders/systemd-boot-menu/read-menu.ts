/** systemd-boot's menu as it would be built now, from the partitions that it reads. */
import { posix } from "node:path";
import type { Machine } from "../../machine/machine.ts";
import { findPath } from "../fat-names.ts";
import { loaderVariable, readPartition, readVariable } from "../firmware.ts";
import type { MountedVolume, VolumeMap } from "../volumes.ts";
import type { Menu, Wishes } from "./choice.ts";
import { entryOf, type SystemdBootEntry, unifiedEntryOf } from "./entry.ts";
import { describedSystem } from "./unified-kernel.ts";

export interface ReadMenu extends Menu {
  /** Something that systemd-boot reads and this does not: what, in words. */
  unread: string | undefined;
}

const ENTRIES = "loader/entries";
const UNIFIED = "EFI/Linux";

export async function readMenu(machine: Machine, volumes: VolumeMap, esp: MountedVolume): Promise<ReadMenu> {
  const extended = await extendedBootPartition(machine, volumes, esp);
  const folders = new Set([
    esp.mountPoint,
    ...(extended?.mountPoint === undefined ? [] : [extended.mountPoint]),
  ]);
  let unread = extended?.unmounted;
  const found: SystemdBootEntry[] = [];
  for (const folder of folders) {
    const unified = await readUnified(machine, folder);
    if (unified.hasProfiles) unread ??= "a unified kernel image with several profiles";
    found.push(...unified.entries, ...(await readEntries(machine, folder)));
  }
  const told = await readLoaderText(machine, "LoaderEntries");
  return { entries: found, automatic: told === undefined ? AUTOMATIC : automaticOf(told), unread };
}

export async function readWishes(machine: Machine, esp: MountedVolume): Promise<Wishes> {
  const path = await findPath(machine, esp.mountPoint, "loader/loader.conf");
  const configuration = path && (await machine.read(path))?.toString("utf8");
  return {
    configuration: configuration ?? "",
    oneShot: await readLoaderText(machine, "LoaderEntryOneShot"),
    defaultVariable: await readLoaderText(machine, "LoaderEntryDefault"),
    lastBooted: await readLoaderText(machine, "LoaderEntryLastBooted"),
  };
}

/** Bits of `LoaderFeatures`. */
export const FEATURES = {
  /** It starts an entry once, and deletes the variable that names it before it does. */
  oneShot: 1n << 3n,
  /** Its menu is in the order that is known here: 251 and newer. */
  sortKey: 1n << 8n,
} as const;

/** None where it does not say. */
export async function readFeatures(machine: Machine): Promise<bigint> {
  const value = await readVariable(machine, loaderVariable("LoaderFeatures"));
  return value?.length === 8 ? value.readBigUInt64LE(0) : 0n;
}

/** A variable of the boot loader interface. */
export async function readLoaderText(machine: Machine, name: string): Promise<string | undefined> {
  return (await readVariable(machine, loaderVariable(name)))?.toString("utf16le").replace(/\0+$/, "");
}

/** Where the loader does not say which of these there are, each may be. */
const AUTOMATIC = [
  ...["auto-osx", "auto-windows", "auto-efi-shell", "auto-efi-default"],
  ...["auto-reboot-to-firmware-setup", "auto-poweroff", "auto-reboot"],
];

function automaticOf(loaderEntries: string): string[] {
  return loaderEntries.split("\0").filter((name) => name.startsWith("auto-"));
}

const EXTENDED_BOOT_TYPE = "bc13c2ff-59e6-4262-a352-b275fd6f7172";

/**
 * On the disk of what is taken for the EFI system partition; `undefined` where there is none. `unmounted`:
 * which of the two is not mounted.
 */
async function extendedBootPartition(
  machine: Machine,
  volumes: VolumeMap,
  esp: MountedVolume,
): Promise<{ mountPoint?: string; unmounted?: string } | undefined> {
  const own = await readPartition(machine, esp.device);
  const extended = own?.table.partitions.find(({ type }) => type === EXTENDED_BOOT_TYPE);
  // Where systemd-boot itself was started from: another disk may have one, too.
  const start = await readLoaderText(machine, "LoaderDevicePartUUID");
  const isElsewhere = start !== undefined && start.toLowerCase() !== own?.partition.uuid?.toLowerCase();
  if (isElsewhere || (own && own.partition.number === extended?.number)) {
    return { unmounted: "the EFI system partition that it was started from, which is not mounted" };
  }
  if (!own || !extended) return undefined;
  for (const { device, mountPoint, root } of volumes.volumes) {
    const facts = root === "/" ? await readPartition(machine, device) : undefined;
    if (facts?.diskPath === own.diskPath && facts.partition.number === extended.number) return { mountPoint };
  }
  return { unmounted: "the extended boot loader partition, which is not mounted" };
}

/** Other names, and those that look like the menu's own, are left out as systemd-boot leaves them out. */
function isEntryFile(name: string, suffix: string): boolean {
  const lower = name.toLowerCase();
  return lower.endsWith(suffix) && !lower.startsWith("auto-") && !lower.startsWith(".");
}

async function readEntries(machine: Machine, root: string): Promise<SystemdBootEntry[]> {
  const folder = await findPath(machine, root, ENTRIES);
  const entries: SystemdBootEntry[] = [];
  for (const name of folder ? await machine.list(folder) : []) {
    if (!folder || !isEntryFile(name, ".conf")) continue;
    const text = (await machine.read(posix.join(folder, name)))?.toString("utf8");
    const found = text === undefined ? undefined : entryOf(name, text);
    const program = found && (await findPath(machine, root, found.program));
    if (found && program) entries.push(await withOwnOptions(machine, found.entry, program));
  }
  return entries;
}

/** A unified kernel image that an entry starts has a command line of its own. */
async function withOwnOptions(
  machine: Machine,
  entry: SystemdBootEntry,
  program: string,
): Promise<SystemdBootEntry> {
  if (entry.options !== undefined) return entry;
  return { ...entry, options: (await partsOf(machine, program))?.commandLine };
}

async function readUnified(
  machine: Machine,
  root: string,
): Promise<{ entries: SystemdBootEntry[]; hasProfiles: boolean }> {
  const folder = await findPath(machine, root, UNIFIED);
  const entries: SystemdBootEntry[] = [];
  let hasProfiles = false;
  for (const name of folder ? await machine.list(folder) : []) {
    if (!folder || !isEntryFile(name, ".efi")) continue;
    const parts = await partsOf(machine, posix.join(folder, name));
    const entry = parts && unifiedEntryOf(name, parts);
    if (entry) entries.push(entry);
    hasProfiles ||= parts?.hasProfiles ?? false;
  }
  return { entries, hasProfiles };
}

async function partsOf(machine: Machine, path: string): ReturnType<typeof describedSystem> {
  try {
    const file = await machine.openDisk(path);
    try {
      return await describedSystem(file);
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
