import { posix } from "node:path";
import * as z from "zod";
import { BootLoaderKind } from "#shared/protocol/boot-receipt.ts";
import { Timestamp } from "#shared/protocol/common.ts";
import { draftOf } from "../machine/durable.ts";
import { FileLocation, VolumeUuid } from "./volumes.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Nanoseconds = z.string().regex(/^-?\d+$/);

const attributes = {
  mode: z.int().min(0).max(0o7777),
  uid: z.int().nonnegative(),
  gid: z.int().nonnegative(),
  /** Nanoseconds since 1970, for which a number is too small. */
  modifiedNs: Nanoseconds,
};

/** The content that arming gives a file or variable: every byte that it writes. */
const ArmedContent = z.object({ bytesBase64: z.base64(), sha256: Sha256 });

/** A file that arming changes or creates. */
const SavedFile = z.object({
  kind: z.literal("file"),
  location: FileLocation,
  /**
   * Who writes to it. `own`: Causeway alone, so it is removed as a whole. The others are shared: only what
   * arming wrote into them is removed. GRUB's environment block is written in place, never replaced.
   */
  format: z.enum(["own", "grub-environment", "grub-configuration"]),
  /** `undefined` if there was no such file. */
  before: z
    .object({ ...attributes, contentBase64: z.base64(), sizeBytes: z.int().nonnegative(), sha256: Sha256 })
    .optional(),
  /** Absent for a part of the boot image. */
  armed: ArmedContent.optional(),
  /** Whether it contains an identity: its bytes are overwritten before it is removed. */
  secret: z.boolean(),
  /** Whether it is a part of the boot image. */
  staged: z.boolean(),
});

/**
 * A file that must not change, to prove that it did not: the main configuration of the boot loader. Never
 * written.
 */
const WatchedFile = z.object({
  kind: z.literal("watched-file"),
  location: FileLocation,
  before: z.object({ ...attributes, sizeBytes: z.int().nonnegative(), sha256: Sha256 }).optional(),
});

/** A folder that arming creates, or whose time of change it affects. */
const SavedFolder = z.object({
  kind: z.literal("folder"),
  location: FileLocation,
  before: z
    .object({
      ...attributes,
      /** The names of everything in it. */
      names: z.array(z.string()),
    })
    .optional(),
});

/** The kernel's name for a variable's file: `BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c`. */
const VariableName = z.string().regex(/^[A-Za-z0-9]+-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

/** A firmware variable: its attributes' four bytes and its value. */
const SavedVariable = z.object({
  kind: z.literal("variable"),
  name: VariableName,
  /** `one-shot`: names an entry for the next start; the others by their UEFI names. */
  format: z.enum(["one-shot", "boot-order", "load-option"]),
  before: z.object({ bytesBase64: z.base64(), sha256: Sha256 }).optional(),
  armed: ArmedContent,
  /** The variable with the boot entry whose number arming writes here. */
  entry: VariableName.optional(),
});

/** The boot configuration of Windows, changed and compared through its own program. */
const SavedBootConfiguration = z.object({
  kind: z.literal("boot-configuration"),
  name: z.string(),
  /** A copy that `bcdedit /import` reads, for people. */
  exportPath: z.string(),
  before: z.object({ text: z.string(), sha256: Sha256 }),
});

export const SavedItem = z.discriminatedUnion("kind", [
  SavedFile,
  WatchedFile,
  SavedFolder,
  SavedVariable,
  SavedBootConfiguration,
]);
export type SavedItem = z.infer<typeof SavedItem>;

export type SavedItemOf<K extends SavedItem["kind"]> = Extract<SavedItem, { kind: K }>;

/**
 * Everything that arming a machine changes: its state before, and the state that arming gives it. Written
 * before anything is changed, so that after any interruption our changes can be told from others'. Kept on
 * the machine, in the cloud and in the overlay of the boot environment, which restores it before it reads a
 * disk. Items are in the order in which they are restored: what makes the next start special comes first.
 */
export const SavedBootState = z.object({
  format: z.literal(2),
  loader: BootLoaderKind,
  /** Names the job's entry, folder and files. */
  jobId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/),
  savedAt: Timestamp,
  /**
   * The mount points and types of the file systems in the original system: what the boot environment must
   * mount.
   */
  volumes: z.array(
    z.object({
      uuid: VolumeUuid,
      /** As `mount -t` takes it. */
      type: z.string().regex(/^[0-9a-z][0-9a-z_.-]{0,31}$/),
      mountPoint: z.string(),
      root: z.string(),
    }),
  ),
  items: z.array(SavedItem),
});
export type SavedBootState = z.infer<typeof SavedBootState>;

/** The path or name by which an operator knows an item: the original system's. */
export function nameOf(saved: SavedBootState, item: SavedItem): string {
  if (!("location" in item)) return item.name;
  const { volume: uuid, path } = item.location;
  const volume = saved.volumes.find((each) => each.uuid === uuid);
  return volume ? posix.join(volume.mountPoint, posix.relative(volume.root, path)) : `${uuid}:${path}`;
}

/**
 * Whether an item's permissions, owner and time mean the same however its file system is mounted. FAT takes
 * the first two from its mount options, and keeps local time.
 */
export function hasOwnAttributes(saved: SavedBootState, item: SavedItem): boolean {
  if (!("location" in item)) return true;
  return saved.volumes.find(({ uuid }) => uuid === item.location.volume)?.type !== "vfat";
}

/**
 * Whether an item's time is significant. Systems rewrite GRUB's environment block, the one file that is
 * written in place, with the same content at each start: Debian 13's grub-common.service runs `grub-editenv …
 * unset recordfail`.
 */
export function hasOwnTime(item: SavedItem): boolean {
  return !(item.kind === "file" && item.format === "grub-environment");
}

/** The file systems that must be mounted, writable, to restore a state. */
export function volumesToMount(saved: SavedBootState): { uuid: string; type: string }[] {
  const used = new Set(
    saved.items.flatMap((item) =>
      item.kind === "file" || item.kind === "folder" ? [item.location.volume] : [],
    ),
  );
  return saved.volumes.filter(({ uuid }) => used.has(uuid)).map(({ uuid, type }) => ({ uuid, type }));
}

/** The names in a folder that are neither items of the state nor their drafts. */
export function othersNames(
  { items }: SavedBootState,
  { location }: SavedItemOf<"folder">,
  names: readonly string[],
): string[] {
  const own = items.flatMap((item) => {
    if (!("location" in item) || item.location.volume !== location.volume) return [];
    const { path } = item.location;
    return posix.dirname(path) === location.path
      ? [path, draftOf(path)].map((each) => posix.basename(each))
      : [];
  });
  return names.filter((name) => !own.includes(name));
}
