import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import { type GuestVolume, type VolumeIds, volumesOfDisk } from "../../browse/guest/volumes.ts";
import { mappedVolume } from "../../machine/mapped-volume.ts";
import type { SystemVolume } from "../captured-system.ts";
import { namedDevice } from "../device-name.ts";

/** A volume of the system, and the device on which the guest finds it. */
export interface AttachedVolume extends SystemVolume, VolumeIds {
  device: string;
}

/** All volumes of the attached disks, writable. */
export async function attachedVolumes(disks: readonly SourceDiskIdentity[]): Promise<AttachedVolume[]> {
  const volumes = new Map<string, AttachedVolume>();
  for (const [at, { name }] of disks.entries())
    for (const volume of await volumesOfDisk(at, "writable"))
      if (volume.device !== "") volumes.set(volume.device, attachedVolume(volume, name));
  return [...volumes.values()];
}

function attachedVolume({ name, device, type, ids }: GuestVolume, disk: string): AttachedVolume {
  const [, partition] = /^partition (\d+)$/.exec(name) ?? [];
  const [, group, volume] = /^([^/]+)\/(.+)$/.exec(name) ?? [];
  return {
    device,
    type,
    ...(group !== undefined && volume !== undefined ? { logical: { group, volume } } : { disk }),
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
  const found = namedDevice(name, { volumes, disks });
  return found.kind === "volume" ? volumes.find((volume) => volume === found.volume) : undefined;
}
