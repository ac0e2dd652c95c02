import { posix } from "node:path";
import * as z from "zod";
import { VolumeNotMountedError } from "#shared/errors.ts";
import { probeContent } from "../filesystems/probe.ts";
import { type Machine, readText } from "../machine/machine.ts";

/** As `blkid` prints it. It is also the name of the folder where the boot environment mounts it. */
export const VolumeUuid = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z-]{0,63}$/);

/**
 * A path that does not depend on where a file system is mounted: the boot environment mounts it elsewhere
 * than the original system.
 */
export const FileLocation = z.object({
  /** The file system's UUID, as `blkid` prints it. */
  volume: VolumeUuid,
  /** From the root of the file system, normalised. */
  path: z
    .string()
    .refine(
      (path) => path.startsWith("/") && posix.normalize(path) === path && !path.includes("\0"),
      "an absolute, normalised path",
    ),
});
export type FileLocation = z.infer<typeof FileLocation>;

/** A mounted file system, and what is below it. */
export interface MountedVolume {
  /** Empty if the file system has none that could be read. */
  uuid: string;
  /** As in `/proc/mounts`: `ext4`, `vfat`, … */
  type: string;
  mountPoint: string;
  /** The folder of the file system that is mounted there: `/`, or a subvolume, or what a bind mount shows. */
  root: string;
  writable: boolean;
  /** `major:minor`, as the kernel has it. */
  device: string;
  source: string;
}

/** Finds the paths of saved locations on this machine, by where the file systems are mounted now. */
export class VolumeMap {
  readonly volumes: readonly MountedVolume[];

  constructor(volumes: readonly MountedVolume[]) {
    this.volumes = volumes;
  }

  /**
   * For the boot environment, which mounts file systems itself: by UUID, where each one's root is mounted.
   */
  static of(mountPoints: Readonly<Record<string, string>>): VolumeMap {
    const common = { type: "", root: "/", writable: true, device: "", source: "" };
    return new VolumeMap(
      Object.entries(mountPoints).map(([uuid, mountPoint]) => ({ ...common, uuid, mountPoint })),
    );
  }

  /** Throws `VolumeNotMountedError` if the file system is not mounted, or only another part of it. */
  pathOf({ volume, path }: FileLocation): string {
    for (const { uuid, root, mountPoint } of this.volumes) {
      if (uuid !== volume || !isWithin(path, root)) continue;
      return posix.join(mountPoint, posix.relative(root, path));
    }
    throw new VolumeNotMountedError(volume, path);
  }

  /** The mount that contains this path, which must have no links in it. */
  holding(path: string): MountedVolume | undefined {
    let best: MountedVolume | undefined;
    for (const volume of this.volumes) {
      // The last one of equals hides the others.
      if (isWithin(path, volume.mountPoint) && volume.mountPoint.length >= (best?.mountPoint.length ?? 0)) {
        best = volume;
      }
    }
    return best;
  }

  /** Returns `undefined` if the file system has no UUID, so that it could not be found again. */
  locationOf(path: string): FileLocation | undefined {
    const volume = this.holding(path);
    if (!volume?.uuid) return undefined;
    return {
      volume: volume.uuid,
      path: posix.join(volume.root, posix.relative(volume.mountPoint, path)),
    };
  }
}

function isWithin(path: string, folder: string): boolean {
  return folder === "/" || path === folder || path.startsWith(`${folder}/`);
}

/** What is mounted on this machine, with the UUIDs read from the file systems themselves. */
export async function readVolumes(machine: Machine): Promise<VolumeMap> {
  const mounts = await mountsOf(machine);
  const volumes: MountedVolume[] = [];
  for (const mount of mounts) volumes.push({ ...mount, uuid: await readUuid(machine, mount) });
  return new VolumeMap(volumes);
}

/** Where boot loaders keep their files. */
const MAY_BE_AUTOMOUNTED = ["/boot", "/boot/efi", "/efi"];

/** Looking into a folder makes an automount mount it. */
async function mountsOf(machine: Machine): Promise<Omit<MountedVolume, "uuid">[]> {
  const read = async () => parseMounts((await readText(machine, "/proc/self/mountinfo")) ?? "");
  const mounts = await read();
  const waiting = mounts.filter(
    ({ type, mountPoint }) => type === "autofs" && MAY_BE_AUTOMOUNTED.includes(mountPoint),
  );
  if (waiting.length === 0) return mounts;
  for (const { mountPoint } of waiting) await machine.list(mountPoint);
  return read();
}

async function readUuid(machine: Machine, mount: Omit<MountedVolume, "uuid">): Promise<string> {
  if (!mount.source.startsWith("/dev/")) return "";
  // The mount table may name a device that does not exist under this name, such as /dev/root.
  const event = (await readText(machine, `/sys/dev/block/${mount.device}/uevent`)) ?? "";
  const name = /^DEVNAME=(.+)$/m.exec(event)?.[1];
  try {
    const disk = await machine.openDisk(name ? `/dev/${name}` : mount.source);
    try {
      return (await probeContent(disk)).uuid ?? "";
    } finally {
      await disk.close();
    }
  } catch {
    // We cannot read it. Then it cannot be armed either, and the probe says so.
    return "";
  }
}

function parseMounts(text: string): Omit<MountedVolume, "uuid">[] {
  return text.split("\n").flatMap((line) => {
    const [front = "", back = ""] = line.split(" - ");
    const [, , device, root, mountPoint, options = ""] = front.split(" ");
    const [type, source, superOptions = ""] = back.split(" ");
    if (!device || !root || !mountPoint || !type || !source) return [];
    const writable = [options, superOptions].every((list) => !list.split(",").includes("ro"));
    const [shown, at, from] = [root, mountPoint, source].map(decodeOctal);
    return [{ device, root: shown ?? "", mountPoint: at ?? "", type, source: from ?? "", writable }];
  });
}

/** Space, tab, newline and backslash are written as octal numbers. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/**
 * What a block device is made of, as far as it matters to boot loaders. `unknown` if the kernel does not say.
 */
export type DeviceLayer = "plain" | "lvm" | "md" | "crypt" | "device-mapper" | "unknown";

/** `device`: `major:minor`. */
export async function layerOf(machine: Machine, device: string): Promise<DeviceLayer> {
  const folder = `/sys/dev/block/${device}`;
  const real = await machine.resolve(folder);
  if (real === undefined) return "unknown";
  const mapped = await readText(machine, `${folder}/dm/uuid`);
  if (mapped?.startsWith("LVM-")) return "lvm";
  if (mapped?.startsWith("CRYPT-")) return "crypt";
  const names = real.split("/");
  if (mapped !== undefined || names.some((name) => /^dm-\d+$/.test(name))) return "device-mapper";
  // An array may have a name of its own instead of a number, and partitions.
  for (const array of [real, posix.dirname(real)]) {
    if (/^md\d+/.test(posix.basename(array)) || (await machine.list(`${array}/md`)).length > 0) return "md";
  }
  // The kernel's virtual devices need not be on one disk: loop devices, bcache, drbd, …
  return real.includes("/virtual/block/") ? "unknown" : "plain";
}
