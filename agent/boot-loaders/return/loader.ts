/** The program that the firmware starts for this system, and where GRUB would begin. */
import { posix } from "node:path";
import type { BootMachine } from "../../machine/boot-machine.ts";
import { findName, findPath } from "../fat-names.ts";
import { findEsp, readPartition, runningLoader } from "../firmware.ts";
import type { LoadOption } from "../load-option.ts";
import type { MountedVolume, VolumeMap } from "../volumes.ts";
import { type BootOrder, loaderFileOf, partitionOf } from "./boot-order.ts";
import { type EfiProgram, efiProgramOf } from "./efi-program.ts";
import { grubFolders, grubPathOf } from "./grub-files.ts";
import type { GrubStart } from "./grub-follow.ts";

export type Loader =
  /** More than one start if it is not known which of them is GRUB's. */
  | { kind: "grub"; starts: GrubStart[] }
  | { kind: "systemd-boot" }
  /** The firmware starts the kernel itself. */
  | { kind: "none" }
  | { kind: "other"; name: string }
  | { kind: "unknown" };

const CONFIG = "grub.cfg";
/** The program that shim starts, and that it starts from the folder for removable media. */
const AFTER_SHIM = "grubx64.efi";
const SHIM_FALLBACK = "fbx64.efi";
const LARGEST_PROGRAM_BYTES = 64 * 2 ** 20;

export async function findLoader(
  machine: BootMachine,
  volumes: VolumeMap,
  boot: BootOrder | undefined,
): Promise<Loader> {
  if (!boot) return grubOrNone(await guessedStarts(machine, volumes, undefined), "pc");
  const esp = findEsp(volumes.volumes);
  const told = await runningLoader(machine);
  if (told?.startsWith("systemd-boot")) return { kind: "systemd-boot" };
  const option = boot.current === undefined ? undefined : boot.options.get(boot.current);
  const file = esp && option ? await ownFileOf(machine, esp, option) : undefined;
  const program = file === undefined ? undefined : await readProgram(machine, file);
  if (esp && file && program) {
    const known = await fromProgram(machine, { volumes, esp, file, program });
    if (known) return known;
  }
  const folder = file && posix.dirname(file);
  // An unknown program is GRUB only if a configuration is beside it.
  const isForeign = program?.kind === "unknown" && folder && !(await findName(machine, folder, CONFIG));
  if (told === undefined && isForeign) return { kind: "unknown" };
  // A loader that reports an unknown name is not GRUB, even if GRUB is installed as well.
  if (told !== undefined && !/^GRUB\b/.test(told)) return { kind: "other", name: told };
  return grubOrNone(await guessedStarts(machine, volumes, folder), "efi");
}

function grubOrNone(starts: GrubStart["prefix"][], platform: GrubStart["platform"]): Loader {
  return starts.length === 0
    ? { kind: "unknown" }
    : { kind: "grub", starts: starts.map((prefix) => ({ platform, prefix, script: "" })) };
}

interface FoundProgram {
  volumes: VolumeMap;
  esp: MountedVolume;
  file: string;
  program: EfiProgram;
}

async function fromProgram(machine: BootMachine, found: FoundProgram): Promise<Loader | undefined> {
  const { volumes, esp, file, program } = found;
  if (program.kind === "systemd-boot") return { kind: "systemd-boot" };
  if (program.kind === "linux") return { kind: "none" };
  const folder = posix.dirname(file);
  if (program.kind === "shim") {
    if (await findName(machine, folder, SHIM_FALLBACK)) {
      // It continues with the programs that folders beside it list, so look for those.
      return /\/boot$/i.test(folder) ? undefined : fromShim(machine, found);
    }
    return fromShim(machine, found);
  }
  if (program.kind !== "grub") return undefined;
  // Debian's signed core reads its own script, which continues with the prefix (debian/build-efi-images).
  const script = /^normal \(memdisk\)/.test(program.script) ? "" : program.script;
  const isOnEsp = program.prefix.startsWith("/");
  if (!isOnEsp && script === "") return undefined;
  const prefix = isOnEsp ? grubPathOf(volumes, posix.join(esp.mountPoint, program.prefix)) : program.prefix;
  const starts: GrubStart[] = [{ platform: "efi", prefix, script }];
  // Red Hat's looks beside itself first.
  const beside = await findName(machine, folder, CONFIG);
  const own = grubPathOf(volumes, folder);
  if (beside && own.toLowerCase() !== prefix.toLowerCase())
    starts.push({ platform: "efi", prefix: own, script: "" });
  return { kind: "grub", starts };
}

async function fromShim(machine: BootMachine, found: FoundProgram): Promise<Loader | undefined> {
  const file = await findName(machine, posix.dirname(found.file), AFTER_SHIM);
  const program = file && (await readProgram(machine, file));
  return file && program && program.kind !== "shim"
    ? fromProgram(machine, { ...found, file, program })
    : undefined;
}

/** Folders with a configuration that GRUB may begin with: the loader's own or, without one, all. */
async function guessedStarts(
  machine: BootMachine,
  volumes: VolumeMap,
  loaderFolder: string | undefined,
): Promise<string[]> {
  if (loaderFolder && (await findName(machine, loaderFolder, CONFIG)))
    return [grubPathOf(volumes, loaderFolder)];
  const esp = findEsp(volumes.volumes);
  const found = new Map<string, string>();
  for (const folder of await grubFolders(machine, esp?.mountPoint)) {
    const real = await machine.resolve(posix.join(folder, CONFIG));
    if (real && (await machine.status(real))?.kind === "file") found.set(real, grubPathOf(volumes, folder));
  }
  return [...found.values()];
}

/**
 * The path of an entry's file on the mounted EFI system partition; `undefined` if it is elsewhere or does
 * not exist.
 */
export async function ownFileOf(
  machine: BootMachine,
  esp: MountedVolume,
  option: LoadOption,
): Promise<string | undefined> {
  const wanted = partitionOf(option);
  if (wanted !== undefined) {
    const facts = await readPartition(machine, esp.device);
    if (facts?.partition.uuid?.toLowerCase() !== wanted) return undefined;
  }
  return findPath(machine, esp.mountPoint, loaderFileOf(option));
}

async function readProgram(machine: BootMachine, path: string): Promise<EfiProgram | undefined> {
  try {
    const status = await machine.status(path);
    if (status?.kind !== "file" || status.sizeBytes > LARGEST_PROGRAM_BYTES) return undefined;
    const bytes = await machine.contents(path);
    return bytes && efiProgramOf(bytes);
  } catch {
    return undefined;
  }
}
