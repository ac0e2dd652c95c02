import type { Finding } from "./adapter.ts";
import type { FirmwareFacts } from "./firmware.ts";
import type { ImageForm } from "./staging.ts";
import type { DeviceLayer } from "./volumes.ts";

/** One condition for arming a boot loader. `check` returns what is wrong; `undefined` if it holds. */
export interface ArmingRule<Facts> {
  code: string;
  check(facts: Facts): string | undefined;
  /** What the operator can do; the text can depend on the machine. */
  remedy: string | ((facts: Facts) => string);
}

export function findingsOf<Facts>(rules: readonly ArmingRule<Facts>[], facts: Facts): Finding[] {
  return rules.flatMap(({ code, check, remedy }) => {
    const reason = check(facts);
    if (reason === undefined) return [];
    return [{ code, reason, remedy: typeof remedy === "string" ? remedy : remedy(facts) }];
  });
}

/** Where the image will be staged. */
export interface PlaceFacts {
  folder: string;
  type: string;
  layer: DeviceLayer;
  writable: boolean;
  hasUuid: boolean;
  freeBytes: number;
  /** FAT has one set of permissions for all files, from its mount options. */
  readableByAll: boolean;
}

export interface CommonFacts {
  isRoot: boolean;
  firmware: FirmwareFacts;
  signedForSecureBoot: boolean;
  form: ImageForm;
  neededBytes: number;
  /** `undefined` if there is no such file system. */
  place: PlaceFacts | undefined;
}

export const LAYER_NAMES: Readonly<Record<DeviceLayer, string>> = {
  plain: "a partition",
  lvm: "LVM",
  md: "software RAID (md)",
  crypt: "an encrypted device",
  "device-mapper": "the device mapper",
  unknown: "a device of unknown kind",
};

/** The conditions for every way of arming. */
export const COMMON_RULES: readonly ArmingRule<CommonFacts>[] = [
  {
    code: "not-root",
    check: ({ isRoot }) => (isRoot ? undefined : "the agent does not run as root"),
    remedy: "Run the agent as root.",
  },
  {
    code: "secure-boot",
    check: ({ firmware, signedForSecureBoot }) =>
      firmware.secureBoot === "enabled" && !signedForSecureBoot
        ? "Secure Boot is on, and the boot image is not signed with a key that this machine trusts"
        : undefined,
    remedy:
      "Switch Secure Boot off in the firmware for the time of the conversion (the ISO and the network image need that, too), use a boot image that is signed for this machine, or convert hot.",
  },
  {
    code: "boot-next-pending",
    check: ({ firmware }) =>
      firmware.bootNextPending ? "another entry is already set for the next start (BootNext)" : undefined,
    remedy: "Restart the machine, or undo it with `efibootmgr -N`.",
  },
  {
    code: "no-place",
    check: ({ place }) => (place ? undefined : "the file system for the boot image is not mounted"),
    remedy: "Mount /boot, or the EFI system partition at /boot/efi.",
  },
  {
    code: "place-device",
    check: ({ place }) =>
      place && place.layer !== "plain"
        ? `${place.folder} would be on ${LAYER_NAMES[place.layer]}, of which the boot environment could change only a part`
        : undefined,
    remedy: "Keep that file system on a partition of a disk.",
  },
  {
    code: "place-unknown",
    check: ({ place }) =>
      place && !place.hasUuid ? `the file system of ${place.folder} has no UUID that can be read` : undefined,
    remedy: "Give the file system a UUID.",
  },
  {
    code: "place-read-only",
    check: ({ place }) => (place && !place.writable ? `${place.folder} is mounted read-only` : undefined),
    remedy: "Mount it writable.",
  },
  {
    code: "place-too-small",
    check: ({ place, neededBytes }) =>
      place && place.freeBytes < neededBytes
        ? `the boot image needs ${neededBytes} bytes in ${place.folder}, which has ${place.freeBytes} free`
        : undefined,
    remedy: "Free that much space there, for example by removing kernels that are no longer used.",
  },
  {
    code: "place-readable-by-all",
    check: ({ place }) =>
      place?.readableByAll
        ? `every user may read ${place.folder}, and the image contains the job's identity`
        : undefined,
    remedy: "Mount it with umask=0077.",
  },
];
