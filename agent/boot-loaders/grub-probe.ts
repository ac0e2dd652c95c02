import { fileSystemOf } from "../filesystems/file-systems.ts";
import type { FileStatus } from "../machine/boot-machine.ts";
import { hasGrubEntry } from "./grub-entry.ts";
import { decodeGrubEnvironment, GRUB_ENVIRONMENT_BYTES, grubVariable } from "./grub-environment.ts";
import type { GrubRehearsal } from "./return/grub-rehearsal.ts";
import type { GrubTools } from "./return/grub-tools.ts";
import { type ArmingRule, type CommonFacts, LAYER_NAMES } from "./rules.ts";
import type { DeviceLayer } from "./volumes.ts";

/** Everything that decides whether GRUB will start an entry once, and only once. */
export interface GrubFacts extends CommonFacts {
  /** Where `grub.cfg` is. */
  configPath: string | undefined;
  customText: string;
  /** GRUB may use one of several configurations. */
  isFolderUncertain: boolean;
  /** What GRUB would do at the next start if it were armed; absent if it cannot be armed at all. */
  rehearsal: GrubRehearsal | undefined;
  /** The environment block has room for naming the entry. */
  hasRoom: boolean;
  tools: GrubTools;
  hasLilo: boolean;
  hasLegacyGrub: boolean;
  /** Another boot loader that started this system. */
  otherLoader: string | undefined;
  /** The boot loader in the disk's first sector, on BIOS. If it is unknown, it starts the original system. */
  bootSector: "grub" | "lilo" | "unknown";
  environment: GrubEnvironmentFacts | undefined;
}

export interface GrubEnvironmentFacts {
  path: string;
  status: FileStatus | undefined;
  bytes: Buffer | undefined;
  type: string;
  layer: DeviceLayer;
  writable: boolean;
}

/** Whether GRUB reads a file system of this type, and may write over the blocks of a file on it. */
const isForGrub = (type: string): boolean => fileSystemOf(type)?.grubModule !== undefined;

const STICKS = "GRUB could not clear the entry, and would start it every time";

export const GRUB_RULES: readonly ArmingRule<GrubFacts>[] = [
  {
    code: "lilo",
    check: ({ configPath, hasLilo, bootSector }) =>
      bootSector === "lilo" || (hasLilo && !configPath)
        ? "this machine is started by LILO, which cannot start an entry once"
        : undefined,
    remedy: "Install GRUB 2.",
  },
  {
    code: "grub-legacy",
    check: ({ configPath, hasLegacyGrub }) =>
      !configPath && hasLegacyGrub ? "this machine is started by GRUB legacy (0.9x)" : undefined,
    remedy: "Install GRUB 2.",
  },
  {
    code: "grub-not-found",
    check: ({ configPath, hasLilo, hasLegacyGrub, otherLoader, isFolderUncertain }) =>
      configPath || hasLilo || hasLegacyGrub || otherLoader || isFolderUncertain
        ? undefined
        : "no configuration of GRUB was found",
    remedy: "Start the agent with /boot mounted.",
  },
  {
    code: "other-loader",
    check: ({ otherLoader }) => otherLoader && `this system was started by ${otherLoader}, not by GRUB`,
    remedy: "Arm that boot loader.",
  },
  {
    code: "grub-folder",
    check: ({ isFolderUncertain }) =>
      isFolderUncertain ? "it is not certain which of several configurations GRUB uses" : undefined,
    remedy: "Remove the grub.cfg that GRUB does not use, or move it away.",
  },
  {
    code: "grub-without-next-entry",
    check: ({ configPath, rehearsal }) =>
      rehearsal && !rehearsal.isCleared ? `${configPath} does not read and clear next_entry` : undefined,
    remedy: ({ tools }) => `Write the configuration again with ${tools.mkconfig}.`,
  },
  {
    code: "grub-without-custom",
    check: ({ configPath, rehearsal }) =>
      rehearsal && !rehearsal.isOffered
        ? `${configPath} does not read custom.cfg, and is itself never changed`
        : undefined,
    remedy: ({ tools }) =>
      `Make /etc/grub.d/41_custom executable and write the configuration again with ${tools.mkconfig}.`,
  },
  {
    code: "grub-overrides",
    check: ({ configPath, rehearsal }) =>
      rehearsal?.isOffered && rehearsal.isCleared && rehearsal.others.length > 0
        ? `${configPath} would start ${rehearsal.others.map((title) => `"${title}"`).join(" or ")} although another entry is set for one start`
        : undefined,
    remedy: ({ tools }) =>
      `Remove what sets \`default\` later from /etc/grub.d and custom.cfg, and write the configuration again with ${tools.mkconfig}.`,
  },
  {
    code: "entry-left",
    check: ({ customText }) =>
      hasGrubEntry(customText)
        ? "custom.cfg still has the entry of an earlier conversion, which would be saved with it"
        : undefined,
    remedy: "Release that conversion on this machine, or delete the marked lines from custom.cfg.",
  },
  {
    code: "grubenv-missing",
    check: ({ configPath, environment }) =>
      configPath && !environment?.status ? "GRUB's environment block (grubenv) does not exist" : undefined,
    remedy: ({ tools }) => `Create it with \`${tools.editenv} - create\`.`,
  },
  {
    code: "grubenv-not-regular",
    check: ({ environment }) =>
      environment?.status && environment.status.kind !== "file"
        ? `${environment.path} is not a regular file`
        : undefined,
    remedy: ({ tools }) => `Create it again with \`${tools.editenv} - create\`.`,
  },
  {
    code: "grubenv-malformed",
    check: ({ environment }) =>
      environment?.status?.kind === "file" && !isSound(environment)
        ? `${environment.path} is not an environment block of ${GRUB_ENVIRONMENT_BYTES} bytes`
        : undefined,
    remedy: ({ tools }) => `Create it again with \`${tools.editenv} - create\`.`,
  },
  {
    code: "grubenv-full",
    check: ({ environment, hasRoom }) =>
      environment && !hasRoom ? `${environment?.path} has no room for one more variable` : undefined,
    remedy: ({ tools }) =>
      `Look at it with \`${tools.editenv} - list\`, and remove unused variables with \`${tools.editenv} - unset NAME\`.`,
  },
  {
    code: "grubenv-sparse",
    check: ({ environment }) =>
      environment?.status && environment.status.allocatedBytes < environment.status.sizeBytes
        ? `${environment.path} has no blocks of its own: ${STICKS}`
        : undefined,
    remedy: "Copy it to a new file without holes, and put that in its place.",
  },
  {
    code: "grubenv-file-system",
    check: ({ environment }) =>
      environment?.status && !isForGrub(environment.type)
        ? `${environment.path} is on ${environment.type}: ${STICKS}`
        : undefined,
    remedy: "Move /boot to a partition with ext4.",
  },
  {
    code: "grubenv-device",
    check: ({ environment }) =>
      environment?.status && environment.layer !== "plain"
        ? `${environment.path} is on ${LAYER_NAMES[environment.layer]}: ${STICKS}`
        : undefined,
    remedy: "Move /boot to a partition of its own.",
  },
  {
    code: "grubenv-read-only",
    check: ({ environment }) =>
      environment?.status && !environment.writable ? `${environment.path} is mounted read-only` : undefined,
    remedy: "Mount it writable.",
  },
  {
    code: "one-shot-pending",
    check: ({ environment }) => {
      const pending = environment && pendingEntry(environment);
      return pending && `another entry is already set for the next start: ${pending}`;
    },
    remedy: ({ tools }) =>
      `Restart the machine, or remove the entry with \`${tools.editenv} - unset next_entry\`.`,
  },
  {
    code: "place-not-for-grub",
    check: ({ place }) =>
      place && !isForGrub(place.type)
        ? `${place.folder} would be on ${place.type}, which GRUB may not read`
        : undefined,
    remedy: "Move /boot to a partition with ext4.",
  },
  {
    code: "secure-boot-unknown",
    check: ({ firmware }) =>
      firmware.kind === "uefi" && firmware.secureBoot === "unknown"
        ? "it cannot be found out whether Secure Boot is on; with it, GRUB would refuse the image"
        : undefined,
    remedy: "Mount efivarfs at /sys/firmware/efi/efivars.",
  },
];

function isSound({ bytes }: GrubEnvironmentFacts): boolean {
  return bytes?.length === GRUB_ENVIRONMENT_BYTES && decodeGrubEnvironment(bytes) !== undefined;
}

function pendingEntry({ bytes }: GrubEnvironmentFacts): string | undefined {
  const environment = bytes && decodeGrubEnvironment(bytes);
  return (environment && grubVariable(environment, "next_entry")) || undefined;
}
