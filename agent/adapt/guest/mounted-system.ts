import { lstat, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import { volumesInTable } from "../../boot-loaders/return/encrypted-volumes.ts";
import { runGuestTool, runGuestToolWithin, type ToolResult } from "../../browse/guest/tool.ts";
import { mountVolume } from "../../browse/guest/volumes.ts";
import { fileSystemOf } from "../../filesystems/file-systems.ts";
import { fstabEntries } from "../../machine/fstab.ts";
import type { DiskKey } from "../disk-key.ts";
import { neededMounts } from "./needed-mounts.ts";
import {
  type AttachedVolume,
  attachedVolumes,
  makeWritable,
  secondNamed,
  volumeNamed,
} from "./system-volumes.ts";
import { closeVolumes, nameUnlocked, openedVolumes } from "./volume-layers.ts";

const PROBE = "/mnt/probe";
const ROOT = "/mnt/system";
const KERNEL_MOUNTS = [
  ["devtmpfs", "/dev"],
  ["proc", "/proc"],
  ["sysfs", "/sys"],
  ["tmpfs", "/run"],
] as const;

/** An initramfs takes minutes under emulation. */
const PROGRAM_LIMIT_MS = 20 * 60_000;

/** Why the guest cannot adapt the system. */
export class SystemUnusableError extends Error {
  override readonly name = "SystemUnusableError";
}

/** A root: a volume, and for btrfs the subvolume in it. */
interface Root {
  volume: AttachedVolume;
  subvolume?: string | undefined;
  fstab: string;
}

/** The one system on the disks, mounted as it mounts itself. */
export class MountedSystem {
  readonly root: string = ROOT;
  readonly volumes: readonly AttachedVolume[];
  readonly #mounted: string[] = [];

  private constructor(volumes: readonly AttachedVolume[]) {
    this.volumes = volumes;
  }

  /** `keys`: of encrypted volumes. Throws `SystemUnusableError`. */
  static async open(disks: readonly SourceDiskIdentity[], keys: readonly DiskKey[]): Promise<MountedSystem> {
    const volumes = await openedVolumes(await attachedVolumes(disks), keys);
    const system = new MountedSystem(volumes);
    const root = await onlyRoot(volumes, disks);
    for (const { device, place } of fstabEntries(root.fstab))
      if (place === "/") requireOneNamed({ device, place }, volumes, disks);
    await system.#mount(root.volume, "", root.subvolume === undefined ? [] : [`subvol=${root.subvolume}`]);
    await system.#nameEncrypted(disks);
    for (const { device, place, options } of neededMounts(root.fstab)) {
      const volume = volumeNamed(device, volumes, disks);
      if (!volume) throw new SystemUnusableError(`${place} is on ${device}, which no disk has`);
      requireOneNamed({ device, place }, volumes, disks);
      await system.#mount(volume, place, options);
    }
    for (const [type, place] of KERNEL_MOUNTS) await system.#run(place, "-t", type, type);
    return system;
  }

  /** Runs a program of the system in it. */
  readonly run = (command: readonly string[]): Promise<ToolResult> => {
    const environment = ["LC_ALL=C", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    const words = ["-i", ...environment, "chroot", this.root, ...command];
    return runGuestToolWithin(PROGRAM_LIMIT_MS, "/usr/bin/env", ...words);
  };

  /** Everything that was written is on the disks when this resolves. Throws `SystemUnusableError`. */
  async close(): Promise<void> {
    const { succeeded, complaint: busy } = await runGuestTool("/usr/bin/umount", ...this.#mounted.reverse());
    if (!succeeded) throw new SystemUnusableError(`the system cannot be unmounted: ${busy}`);
    await runGuestTool("/usr/bin/sync");
    const [complaint] = await closeVolumes(this.volumes);
    if (complaint !== undefined) throw new SystemUnusableError(`a volume cannot be closed: ${complaint}`);
  }

  /** As the system names them: its own programs look for the devices of its root. */
  async #nameEncrypted(disks: readonly SourceDiskIdentity[]): Promise<void> {
    const table = await readFile(join(ROOT, "etc/crypttab"), "latin1").catch(() => "");
    for (const { name, device } of volumesInTable(table)) {
      const uuid = device && volumeNamed(device, this.volumes, disks)?.uuid;
      const inside = this.volumes.find(({ unlockedFrom }) => uuid !== undefined && unlockedFrom === uuid);
      const complaint = inside && (await nameUnlocked(inside, name));
      if (complaint !== undefined) throw new SystemUnusableError(`${name} cannot be named so: ${complaint}`);
    }
  }

  async #mount(volume: AttachedVolume, place: string, options: readonly string[]): Promise<void> {
    const way = fileSystemOf(volume.type ?? "")?.writableMount;
    if (!way)
      throw new SystemUnusableError(`${place || "/"} is ${volume.type}, which cannot be written here`);
    const all = ["rw", "nosuid", ...way.options, ...options].join(",");
    await makeWritable(volume.device);
    await this.#run(place, "-t", way.type, "-o", all, join("/dev", volume.device));
  }

  async #run(place: string, ...args: string[]): Promise<void> {
    const folder = this.root + place;
    await mkdir(folder, { recursive: true });
    const { succeeded, complaint } = await runGuestTool("/usr/bin/mount", ...args, folder);
    if (!succeeded) throw new SystemUnusableError(`${place || "/"} cannot be mounted: ${complaint}`);
    this.#mounted.push(folder);
  }
}

/** It is unknown which of several a system takes, so what is written into one could be lost. */
function requireOneNamed(
  { device, place }: { device: string; place: string },
  volumes: readonly AttachedVolume[],
  disks: readonly SourceDiskIdentity[],
): void {
  if (secondNamed(device, volumes, disks))
    throw new SystemUnusableError(
      `${place} is on ${device}, which several volumes have: leave out the disk with the copy, or give that another identity`,
    );
}

/** If there are several, the one whose own list of file systems says that it is the root. */
async function onlyRoot(
  volumes: readonly AttachedVolume[],
  disks: readonly SourceDiskIdentity[],
): Promise<Root> {
  const found: Root[] = [];
  for (const volume of volumes) found.push(...(await rootsOn(volume)));
  const own = found.filter(({ volume, fstab }) =>
    fstabEntries(fstab).some(
      ({ device, place }) => place === "/" && volumeNamed(device, volumes, disks)?.device === volume.device,
    ),
  );
  const [root, second] = found.length > 1 ? own : found;
  if (!root)
    throw new SystemUnusableError(`no volume of these disks has a Linux system${lockedNote(volumes)}`);
  if (second) throw new SystemUnusableError("several volumes of these disks have a Linux system");
  return root;
}

/** Names encrypted volumes that no key was given for. */
function lockedNote(volumes: readonly AttachedVolume[]): string {
  const locked = volumes
    .filter(({ type }) => type === "crypto_LUKS")
    .flatMap(({ uuid = "" }) => (volumes.some(({ unlockedFrom }) => unlockedFrom === uuid) ? [] : [uuid]));
  return locked.length === 0 ? "" : `; there is no key for what is encrypted: ${locked.join(", ")}`;
}

async function rootsOn(volume: AttachedVolume): Promise<Root[]> {
  // No Linux system starts from `vfat`, which knows neither owners nor links.
  if (volume.type === "vfat" || !fileSystemOf(volume.type ?? "")?.writableMount) return [];
  await mkdir(PROBE, { recursive: true });
  const complaint = await mountVolume(volume, PROBE);
  if (complaint !== undefined) return [];
  const roots: Root[] = [];
  const folders = volume.type === "btrfs" ? ["", ...(await readdir(PROBE).catch(() => []))] : [""];
  for (const folder of folders) {
    const fstab = await fstabIn(join(PROBE, folder));
    if (fstab !== undefined) roots.push({ volume, fstab, ...(folder === "" ? {} : { subvolume: folder }) });
  }
  await runGuestTool("/usr/bin/umount", PROBE);
  return roots;
}

/** `undefined` for what is not the top of a system. */
async function fstabIn(folder: string): Promise<string | undefined> {
  const isThere = async (path: string) =>
    (await lstat(join(folder, path)).catch(() => undefined)) !== undefined;
  if (!(await isThere("etc/os-release")) && !(await isThere("etc/passwd"))) return undefined;
  return readFile(join(folder, "etc/fstab"), "latin1").catch(() => undefined);
}
