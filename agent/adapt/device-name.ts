import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import type { CapturedSystem, SystemVolume } from "./captured-system.ts";

/** What a name of a block device in a configuration means on the new machine. */
export type NamedDevice =
  /** It is the same on any hardware, or no block device at all. */
  | { kind: "stable" }
  | { kind: "volume"; volume: SystemVolume }
  /** It depends on the hardware, and it is not certain what it was. */
  | { kind: "unknown" };

type Disks = Pick<CapturedSystem, "volumes" | "disks">;

const STABLE =
  /^\/dev\/(disk\/by-(uuid|label|partuuid|partlabel)\/|disk\/by-id\/(dm|md|lvm)-|mapper\/(?!mpath)|md)/;
/** `sda2`, `vdb`, `xvda1`, `nvme0n1p2`, `mmcblk0p1`, `cciss/c0d0p1`. */
const KERNEL_NAME =
  /^\/dev\/((?:[shv]|xv)d[a-z]{1,3}|(?:nvme\d+n\d+|mmcblk\d+|cciss\/c\d+d\d+)(?=p|$))(?:p?(\d+))?$/;
const HARDWARE_LINK = /^\/dev\/(?:disk\/by-(path|id)|mapper)\/(.+?)(?:-part(\d+))?$/;

/** What a name in `/etc/fstab` or in the kernel's parameters means. */
export function namedDevice(name: string, system: Disks): NamedDevice {
  if (!name.startsWith("/dev/") || STABLE.test(name) || isLogicalVolume(name, system))
    return { kind: "stable" };
  const [, kernelDisk, kernelPartition] = KERNEL_NAME.exec(name) ?? [];
  if (kernelDisk !== undefined) {
    // As the inventory names it.
    const disk = kernelDisk.replace("/", "-");
    return volumeOn(
      system.disks.find((each) => each.name === disk),
      kernelPartition,
      system,
    );
  }
  const [, kind, link, partition] = HARDWARE_LINK.exec(name) ?? [];
  // Other names are those of CD drives, loop devices, DRBD: not disks that were cloned.
  if (link === undefined) return { kind: "stable" };
  return volumeOn(linkedDisk(kind, link, system.disks), partition, system);
}

/**
 * The name by which it is found on any hardware: as `UUID=`, or as `PARTUUID=` if that is not unique.
 * `undefined` if it has neither.
 */
function stableName(volume: SystemVolume, { volumes }: Disks): string | undefined {
  const isUnique = (key: "uuid" | "partUuid") =>
    volume[key] !== undefined && volumes.filter((each) => each[key] === volume[key]).length === 1;
  if (isUnique("uuid")) return `UUID=${volume.uuid}`;
  return isUnique("partUuid") ? `PARTUUID=${volume.partUuid}` : undefined;
}

/** The stable name for a name that depends on the hardware. `unknown` if there is none; else `undefined`. */
export function replacementFor(name: string, system: Disks): { name: string } | "unknown" | undefined {
  const device = namedDevice(name, system);
  if (device.kind === "stable") return undefined;
  const stable = device.kind === "volume" ? stableName(device.volume, system) : undefined;
  return stable === undefined ? "unknown" : { name: stable };
}

function isLogicalVolume(name: string, { volumes }: Disks): boolean {
  const [, group, volume] = /^\/dev\/([^/]+)\/([^/]+)$/.exec(name) ?? [];
  return volumes.some(({ logical }) => logical && logical.group === group && logical.volume === volume);
}

function volumeOn(
  disk: SourceDiskIdentity | undefined,
  partition: string | undefined,
  { volumes }: Disks,
): NamedDevice {
  const number = partition === undefined ? undefined : Number(partition);
  const volume =
    disk && volumes.find((each) => each.disk === disk.name && each.partition === number && !each.logical);
  return volume ? { kind: "volume", volume } : { kind: "unknown" };
}

/**
 * A link by a disk's place, or a multipath's number, does not say which disk it was, unless the source had
 * only one. A link by an identity can be that of a disk that was not captured, so it has to match.
 */
function linkedDisk(
  kind: string | undefined,
  link: string,
  disks: readonly SourceDiskIdentity[],
): SourceDiskIdentity | undefined {
  if (kind !== "id") return disks.length === 1 && disks[0]?.isOnly ? disks[0] : undefined;
  const found = disks.filter(({ serial, wwid }) =>
    [serial, wwid?.replace(/^(naa|eui|t10)\./, "")].some(
      (identity) => identity !== undefined && identity.length >= 4 && link.includes(identity),
    ),
  );
  return found.length === 1 ? found[0] : undefined;
}
