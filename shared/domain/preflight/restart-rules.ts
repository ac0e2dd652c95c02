/**
 * The rules for a machine that restarts into the boot environment, reports from there, and comes back.
 */
import { INITRD_FILE, KERNEL_FILE, UNIFIED_KERNEL_FILE } from "../../protocol/boot-image.ts";
import { type BootArming, type Disk, UNKNOWN, type VolumeContent } from "../../protocol/inventory.ts";
import type { BootImageRecord } from "../boot-image.ts";
import { FIRMWARE_REMEDY, firmwareLackOf, lackOf, ofImage } from "./image-checks.ts";
import { networkRules } from "./network-rules.ts";
import { returnRules } from "./return-rules.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./rule.ts";

const MIB = 1024 ** 2;
/** Room for the job's own files and for the file system's overhead. */
const SPARE_BYTES = 8 * MIB;

/** Transports of network disks, which the boot environment does not connect to. */
const OVER_NETWORK = /^(?:iscsi|nvme-.+)$/;

export const restartRules: readonly PreflightRule[] = [
  {
    id: "source-in-original",
    severity: "fail",
    holds: "the source runs its original system",
    check: ({ source }) =>
      source.environment === "original"
        ? undefined
        : `source ${source.name} last reported from the boot environment`,
    remedy: "Wait until the machine is back in its original system; restart it if it does not return.",
  },
  {
    id: "disks-real",
    severity: "fail",
    holds: "the disks are the machine's own",
    check: (facts) =>
      among(
        chosenDisks(facts).filter(({ kind, transport }) => kind === "image" || OVER_NETWORK.test(transport)),
        "cannot be read from the boot environment",
      ),
    remedy: "Convert image files and network disks hot, or name only the machine's own disks with --disk.",
  },
  {
    id: "disks-recognisable",
    severity: "fail",
    holds: "the boot environment can recognise the disks",
    check: (facts) =>
      chosenDisks(facts)
        .flatMap(({ name, kind, unrecognisable }) =>
          kind === "device" && unrecognisable !== undefined
            ? [`disk ${name} could not be recognised after the restart: ${unrecognisable}`]
            : [],
        )
        .join("; ") || undefined,
    remedy:
      "Name the other disks with --disk, and convert this one hot; detach copies of it, or give a blank disk a partition table. For a software volume, convert the disks below it.",
  },
  {
    id: "boot-image",
    severity: "fail",
    holds: "there is a boot image",
    check: ({ conversion, bootImage }) => {
      if (bootImage?.state === "complete") return undefined;
      const { bootImageId } = conversion;
      return bootImageId ? `there is no complete boot image ${bootImageId}` : "there is no boot image yet";
    },
    remedy: "Build one with `npm run boot-image` and upload it with `causeway boot-images upload DIR`.",
  },
  {
    id: "boot-image-architecture",
    severity: "fail",
    holds: "the boot image is for this kind of machine",
    check: ofImage(({ architecture }, { source }) => {
      const own = source.inventory?.operatingSystem.architecture ?? UNKNOWN;
      if (own === UNKNOWN) return new Unknown("the machine's architecture is not known");
      return own === architecture
        ? undefined
        : `the machine is ${own}, but the boot image is for ${architecture}`;
    }),
    remedy: "Upload a boot image for this architecture and name it with --boot-image.",
  },
  {
    id: "boot-image-trusted",
    severity: "fail",
    holds: "the source trusts the boot image's key",
    check: ofImage(({ signedBy }, { source }) => {
      const trusted = source.inventory?.bootLoader.trustedImageKey;
      return trusted === undefined || trusted === signedBy
        ? undefined
        : `the boot image is signed with the key ${signedBy.slice(0, 16)}…, but the source trusts only ${trusted.slice(0, 16)}…`;
    }),
    remedy:
      "If the key was changed on purpose, stop the agent on the source and start it once with --trust-boot-image-key FILE, where FILE is the new public key; else use --boot-image to name an image that is signed with the trusted key.",
  },
  {
    id: "boot-loader-known",
    severity: "fail",
    holds: "the boot loader is known",
    check: ({ source }) =>
      source.inventory?.bootLoader.kind === UNKNOWN &&
      armings(source.inventory.bootLoader.arming).length === 0
        ? `the boot loader of source ${source.name} is not one that Causeway knows`
        : undefined,
    remedy:
      "Run the agent as root, if it does not yet; else start the machine by hand from the boot image's ISO or over the network.",
  },
  {
    id: "boot-loader-armable",
    severity: "fail",
    holds: "the boot loader can start the boot environment once",
    check: ({ source }) => {
      const arming = source.inventory?.bootLoader.arming;
      if (!arming) return `the agent of source ${source.name} does not report how its machine can be armed`;
      if (armings(arming).length > 0) return undefined;
      return arming.length === 0
        ? "no way to arm this machine is known"
        : arming.map(({ adapter, reason, fallback }) => refusalOf(adapter, reason, fallback)).join("; ");
    },
    remedy:
      "Do what the message says, or update the agent if it does not report how its machine can be armed; else start the machine by hand from the boot image's ISO or over the network.",
  },
  {
    id: "boot-loader-room",
    severity: "fail",
    holds: "the boot image fits beside the boot loader",
    check: ofImage((image, { source }) => {
      const rooms = armings(source.inventory?.bootLoader.arming).map((arming) => roomFor(image, arming));
      // The agent uses the first one that has room.
      if (rooms.length === 0) return new Unknown("no way to arm this machine is known");
      if (rooms.includes(undefined)) return undefined;
      return rooms.find((room) => room instanceof Unknown) ?? rooms[0];
    }),
    remedy: "Make room in that folder, for example by removing old kernels.",
  },
  {
    id: "memory",
    severity: "fail",
    holds: "the machine has enough memory for the boot environment",
    check: ofImage(({ memoryMiB }, { source }) => {
      const memory = source.inventory?.memoryBytes ?? UNKNOWN;
      if (memory === UNKNOWN) return new Unknown("the machine's memory is not known");
      // The memory that a system reports lacks what the kernel and the firmware reserve.
      return memory < memoryMiB * MIB * 0.9
        ? `the boot environment needs ${memoryMiB} MiB of memory, but the machine has ${inMiB(memory)}`
        : undefined;
    }),
    remedy: "Convert this machine hot, or add memory for the duration of the conversion.",
  },
  {
    id: "secure-boot",
    severity: "fail",
    holds: "the firmware will start the boot image",
    check: ofImage(({ secureBootSigned }, { source }) => {
      const secureBoot = source.inventory?.firmware.secureBoot ?? UNKNOWN;
      if (secureBootSigned) return undefined;
      if (secureBoot === UNKNOWN) return new Unknown("it is not known whether Secure Boot is on");
      return secureBoot === "enabled"
        ? "Secure Boot is on, and the boot image is not signed for it"
        : undefined;
    }),
    remedy:
      "Turn Secure Boot off in the firmware for the duration of the conversion (the ISO and the network image need that, too), use a boot image that is signed for this machine, or convert hot.",
  },
  {
    id: "drive-letter-x",
    severity: "fail",
    holds: "no drive of the source has the letter that the boot environment uses",
    check: ofImage(({ system }, { source }) => {
      const { operatingSystem, volumeLetters } = source.inventory ?? {};
      if (operatingSystem?.family !== "windows" || system !== "windows-pe") return undefined;
      // A failure, not a warning: the agent does not check the drive letters again later.
      if (!volumeLetters) return "the source's drive letters are not known, and one of them may be X";
      return volumeLetters.includes("X")
        ? "a drive of the source has the letter X, which the boot environment needs: the drive would be inaccessible"
        : undefined;
    }),
    remedy: "Give the drive another letter in Windows Disk Management, and restart the agent.",
  },
  {
    id: "disk-drivers",
    severity: "fail",
    holds: "the boot image has the disks' drivers",
    check: ofImage((image, facts) => {
      const verdicts = chosenDisks(facts).map((disk) => driverOf(disk, image));
      return verdicts.find((one) => typeof one === "string") ?? verdicts.find((one) => one !== undefined);
    }),
    remedy: "Use a boot image with the driver of this disk controller, or convert hot.",
  },
  {
    id: "disk-firmware",
    severity: "fail",
    holds: "the boot image has the firmware that the disks' drivers load",
    check: ofImage((image, facts) =>
      chosenDisks(facts)
        .map((disk) => firmwareLackOf(candidatesFor(disk), image))
        .find((lack) => lack !== undefined),
    ),
    remedy: `${FIRMWARE_REMEDY} or convert hot.`,
  },
  ...networkRules,
  ...returnRules,
  {
    id: "disks-not-encrypted",
    severity: "warn",
    holds: "no volume is encrypted",
    check: (facts) =>
      among(
        chosenDisks(facts).filter((disk) =>
          [disk.content, ...disk.partitions.map(({ content }) => content)].some(isEncrypted),
        ),
        "has an encrypted volume: it is copied whole and stays encrypted, and the clone asks for its key",
      ),
    remedy:
      "Have the key or the recovery password ready; a key that is bound to the machine's TPM does not unlock the clone.",
  },
];

/** Drivers by transport, for disks whose driver the agent does not report. */
const USUAL_DRIVERS: Readonly<Record<string, readonly string[]>> = {
  nvme: ["nvme"],
  virtio: ["virtio_blk", "virtio_scsi"],
};

function candidatesFor({ driver, transport }: Disk): readonly string[] {
  return driver ? [driver] : (USUAL_DRIVERS[transport] ?? []);
}

function driverOf(disk: Disk, image: BootImageRecord): string | Unknown | undefined {
  const candidates = candidatesFor(disk);
  if (candidates.length === 0) return new Unknown(`the driver that disk ${disk.name} needs is not known`);
  const lack = lackOf(candidates, image);
  return lack && `disk ${disk.name}: ${lack}`;
}

function chosenDisks({ conversion, source }: PreflightFacts): Disk[] {
  return source.inventory?.disks.filter(({ name }) => conversion.disks.includes(name)) ?? [];
}

function among(disks: readonly Disk[], what: string): string | undefined {
  return disks.length > 0 ? `disk ${disks.map(({ name }) => name).join(", ")} ${what}` : undefined;
}

function isEncrypted(content: VolumeContent | undefined): boolean {
  return content !== undefined && /^(crypto_LUKS|BitLocker)$/i.test(content.type);
}

function armings(arming: readonly BootArming[] | undefined): BootArming[] {
  return arming?.filter(({ possible }) => possible) ?? [];
}

function refusalOf(adapter: string, reason = "not possible", fallback?: string): string {
  return `${adapter}: ${reason}${fallback ? ` (${fallback})` : ""}`;
}

const STAGED_FILES: Readonly<Record<NonNullable<BootArming["form"]>, readonly string[]>> = {
  "kernel-and-initrd": [KERNEL_FILE, INITRD_FILE],
  "unified-kernel": [UNIFIED_KERNEL_FILE],
  "windows-ramdisk": [],
};

/** Why the image does not fit where this way of arming stages it. Returns `undefined` if it fits. */
function roomFor(image: BootImageRecord, arming: BootArming): string | Unknown | undefined {
  const { form, freeBytes, folder = "the boot file system" } = arming;
  if (form === undefined || freeBytes === undefined)
    return new Unknown(`the free space in ${folder} is not known`);
  const needed = stagedBytes(image, form);
  if (needed === undefined) return new Unknown("the space that this boot image needs is not known");
  return freeBytes < needed
    ? `the boot image needs ${inMiB(needed)} in ${folder}, which has ${inMiB(freeBytes)} free`
    : undefined;
}

function stagedBytes({ files }: BootImageRecord, form: NonNullable<BootArming["form"]>): number | undefined {
  const staged = files.filter(({ path }) => STAGED_FILES[form].includes(path));
  return staged.length > 0 ? staged.reduce((sum, { sizeBytes }) => sum + sizeBytes, SPARE_BYTES) : undefined;
}

function inMiB(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
