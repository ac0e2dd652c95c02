/** Reads the files that GRUB's configuration names, from this machine as it runs. */
import { posix } from "node:path";
import type { BootMachine } from "../../machine/boot-machine.ts";
import type { Machine } from "../../machine/machine.ts";
import { type GrubFile, type GrubFiles, uuidDevice } from "../grub-script/files.ts";
import type { VolumeMap } from "../volumes.ts";

/** Stands for this system's own paths, if a file system has no UUID. */
const OWN_PATHS = "os";
const MOST_FILES = 2000;
const LARGEST_BYTES = 4 * 2 ** 20;

/** The name in GRUB's scripts for a path of this system. */
export function grubPathOf(volumes: VolumeMap, path: string): string {
  const location = volumes.locationOf(path);
  return location ? `(${uuidDevice(location.volume)})${location.path}` : `(${OWN_PATHS})${path}`;
}

/** The path in this system for a path of GRUB's; `undefined` if its file system is not mounted. */
export function ownPathOf(volumes: VolumeMap, grubPath: string): string | undefined {
  const [, device = "", path = ""] = /^\(([^)]*)\)(.*)$/s.exec(grubPath) ?? [];
  return ownPath(volumes, device, path);
}

/**
 * Calls the decision with the files that it asks for, again and again, until it asks for no file that was not
 * read. So the decision itself reads nothing.
 */
export async function withGrubFiles<T>(
  machine: BootMachine,
  volumes: VolumeMap,
  decide: (files: GrubFiles) => T,
): Promise<T> {
  const known = new Map<string, GrubFile | undefined>();
  for (;;) {
    const missing = new Map<string, [string, string]>();
    const decision = decide((device, path) => {
      const key = `${device} ${path}`;
      if (!known.has(key)) missing.set(key, [device, path]);
      return known.get(key);
    });
    if (missing.size === 0 || known.size > MOST_FILES) return decision;
    for (const [key, [device, path]] of missing) known.set(key, await read(machine, volumes, device, path));
  }
}

async function read(
  machine: BootMachine,
  volumes: VolumeMap,
  device: string,
  path: string,
): Promise<GrubFile | undefined> {
  const own = ownPath(volumes, device, path);
  if (own === undefined) return undefined;
  try {
    const real = await machine.resolve(own);
    const status = real === undefined ? undefined : await machine.status(real);
    if (real === undefined || !status) return { kind: "absent" };
    if (status.kind === "folder") return { kind: "folder", names: await machine.list(real) };
    // No configuration is as large; anything larger is not read into memory.
    if (status.sizeBytes > LARGEST_BYTES) return undefined;
    const bytes = await machine.contents(real);
    return status.kind === "file" && bytes ? { kind: "file", bytes } : undefined;
  } catch {
    // We cannot read it, so its content is unknown.
    return undefined;
  }
}

function ownPath({ volumes }: VolumeMap, device: string, path: string): string | undefined {
  if (device === OWN_PATHS) return posix.normalize(path);
  for (const { uuid, root, mountPoint } of volumes) {
    if (uuid === "" || uuidDevice(uuid) !== device) continue;
    const relative = posix.relative(root, posix.normalize(path));
    if (!relative.startsWith("..")) return posix.join(mountPoint, relative);
  }
  // SUSE's GRUB starts its paths at the subvolume that is mounted as root (btrfs_relative_path).
  const own = volumes.find(({ mountPoint, type }) => mountPoint === "/" && type === "btrfs");
  return own && uuidDevice(own.uuid) === device ? posix.normalize(path) : undefined;
}

/** Debian and its derivatives; Red Hat, SUSE and theirs. */
const GRUB_FOLDERS = ["/boot/grub", "/boot/grub2"];

/**
 * Where distributions keep GRUB's configuration: some on the EFI system partition, in a folder with their own
 * name. Not all of them exist.
 */
export async function grubFolders(machine: Machine, espPath: string | undefined): Promise<string[]> {
  const vendors = espPath === undefined ? [] : await machine.list(`${espPath}/EFI`);
  return [...GRUB_FOLDERS, ...vendors.map((vendor) => `${espPath}/EFI/${vendor}`)];
}
