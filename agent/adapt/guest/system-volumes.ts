import { join } from "node:path";
import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import { runGuestTool } from "../../browse/guest/tool.ts";
import {
  deviceOfTarget,
  type GuestVolume,
  plainVolumes,
  type VolumeIds,
} from "../../browse/guest/volumes.ts";
import { mappedVolume } from "../../machine/mapped-volume.ts";
import type { SystemVolume } from "../captured-system.ts";
import { namedDevice } from "../device-name.ts";

/** A volume of the system, and the device on which the guest finds it. */
export interface AttachedVolume extends SystemVolume, VolumeIds {
  device: string;
  /** Paths by which only the system knows it: `/dev/md0`, or the mapper's name of an unlocked volume. */
  paths?: readonly string[] | undefined;
  /** The UUID of the LUKS volume that it is the content of. */
  unlockedFrom?: string | undefined;
}

/** The partitions of the attached disks, writable. */
export async function attachedVolumes(disks: readonly SourceDiskIdentity[]): Promise<AttachedVolume[]> {
  const volumes: AttachedVolume[] = [];
  for (const [at, { name }] of disks.entries()) {
    const device = await deviceOfTarget(at);
    const own = await plainVolumes(device);
    await makeWritable(device, ...own.map((volume) => volume.device));
    volumes.push(...own.map((volume) => attachedVolume(volume, name)));
  }
  return volumes;
}

export async function makeWritable(...devices: string[]): Promise<void> {
  await runGuestTool("/usr/sbin/blockdev", "--setrw", ...devices.map((device) => join("/dev", device)));
}

/** `disk`: the source's name of the disk that has it, if it is on only one. */
export function attachedVolume({ name, device, type, ids }: GuestVolume, disk?: string): AttachedVolume {
  const [, partition] = /^partition (\d+)$/.exec(name) ?? [];
  const [, group, volume] = /^([^/]+)\/(.+)$/.exec(name) ?? [];
  return {
    device,
    type,
    ...(group !== undefined && volume !== undefined ? { logical: { group, volume } } : {}),
    ...(disk === undefined ? {} : { disk }),
    ...(partition === undefined ? {} : { partition: Number(partition) }),
    ...ids,
  };
}

const BY_KEY = { UUID: "uuid", LABEL: "label", PARTUUID: "partUuid", PARTLABEL: "partLabel" } as const;

/** The volume that a name in `/etc/fstab` means. */
export function volumeNamed(
  name: string,
  volumes: readonly AttachedVolume[],
  disks: readonly SourceDiskIdentity[],
): AttachedVolume | undefined {
  const [, key, value] =
    /^(UUID|LABEL|PARTUUID|PARTLABEL)="?([^"]*)"?$/.exec(name) ??
    /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/.exec(name) ??
    [];
  const field = key && BY_KEY[key.toUpperCase() as keyof typeof BY_KEY];
  if (field) return volumes.find((volume) => volume[field]?.toLowerCase() === value?.toLowerCase());
  const logical = volumes.find(
    (volume) =>
      volume.logical &&
      [
        mappedVolume(volume.logical.group, volume.logical.volume),
        `/dev/${volume.logical.group}/${volume.logical.volume}`,
      ].includes(name),
  );
  if (logical) return logical;
  const known = volumes.find(({ paths }) => paths?.includes(name));
  if (known) return known;
  const found = namedDevice(name, { volumes, disks });
  return found.kind === "volume" ? volumes.find((volume) => volume === found.volume) : undefined;
}

/** Another volume that a name in `/etc/fstab` could mean as well: a copy has the identity of its original. */
export function secondNamed(
  name: string,
  volumes: readonly AttachedVolume[],
  disks: readonly SourceDiskIdentity[],
): AttachedVolume | undefined {
  const first = volumeNamed(name, volumes, disks);
  const isOther = (one: AttachedVolume) => one !== first && !(first && isSameBtrfs(one, first));
  return first && volumeNamed(name, volumes.filter(isOther), disks);
}

/** Of one file system, two devices: not of two copies. */
function isSameBtrfs(one: AttachedVolume, other: AttachedVolume): boolean {
  return one.type === "btrfs" && one.uuid === other.uuid && one.memberUuid !== other.memberUuid;
}
