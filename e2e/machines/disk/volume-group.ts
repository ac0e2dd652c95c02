import { runContained } from "./command.ts";

const MIB = 2 ** 20;
const EXTENT_BYTES = 4 * MIB;
/** The offset of LVM's first extent in a physical volume. */
export const FIRST_EXTENT_BYTES: number = MIB;

/** A physical volume, and the one logical volume on it, which begins at its first extent. */
export interface GroupPart {
  image: string;
  /** Where the physical volume is in its image: to the image's end if it has no size. */
  offsetBytes: number;
  sizeBytes?: number;
  volume: string;
  volumeBytes: number;
}

/** The size of a logical volume that takes all extents of a physical volume. */
export function volumeBytesIn(physicalBytes: number): number {
  return Math.floor((physicalBytes - FIRST_EXTENT_BYTES) / EXTENT_BYTES) * EXTENT_BYTES;
}

/**
 * Makes a volume group with the root's own LVM, which writes the metadata and activates nothing, so it needs
 * no device mapper. Needs a loop device for each part.
 */
export async function makeVolumeGroup(
  root: string,
  group: string,
  parts: readonly GroupPart[],
): Promise<void> {
  const variables = parts.map((_, at) => `$part${at}`);
  const attached = parts.map(({ image, offsetBytes, sizeBytes }, at) => {
    const limit = sizeBytes === undefined ? "" : `--sizelimit ${sizeBytes} `;
    return `part${at}=$(losetup -f --show --offset ${offsetBytes} ${limit}${image})`;
  });
  const accepted = variables.map((variable) => `\\"a|^${variable}\\$|\\",`).join("");
  const script = `set -e
mount --rbind /dev ${root}/dev
mount -t proc proc ${root}/proc
trap 'losetup -d ${variables.join(" ")} 2>/dev/null' EXIT
${attached.join("\n")}
own="devices{use_devicesfile=0 obtain_device_list_from_udev=0 filter=[${accepted}\\"r|.*|\\"]}"
other="activation{udev_sync=0 udev_rules=0} global{event_activation=0 use_lvmpolld=0} backup{backup=0 archive=0}"
lvm() { chroot ${root} lvm "$@" --driverloaded n --config "$own $other"; }
lvm pvcreate -ff -y --dataalignment ${FIRST_EXTENT_BYTES}b ${variables.join(" ")}
lvm vgcreate -s ${EXTENT_BYTES}b ${group} ${variables.join(" ")}
${parts
  .map(
    ({ volume, volumeBytes }, at) =>
      `lvm lvcreate -an -Zn -Wn -y -L ${volumeBytes}b -n ${volume} ${group} ${variables[at]}`,
  )
  .join("\n")}
`;
  await runContained("sh", ["-c", script]);
}
