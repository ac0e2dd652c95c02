/** What a browsing operator's machine and the guest that reads the disks say to each other. */
import * as z from "zod";

/** The name of the guest's port on the channel. */
export const PORT_NAME = "causeway.browse";
/** Volumes that one disk can have here. */
const MOST_VOLUMES = 512;
/** In UTF-8, 255 characters of FAT or NTFS can have 765 bytes. */
const MOST_NAME_BYTES = 1024;
/** Files with several names that one answer tells apart. Of further ones, each name is sent as a file. */
export const MOST_SHARED = 100_000;
/** Linux allows no longer path. */
const MOST_PATH_BYTES = 4096;

const Bytes = z.base64().transform((text) => Buffer.from(text, "base64"));
const isName = (name: Buffer): boolean =>
  name.length > 0 &&
  name.length <= MOST_NAME_BYTES &&
  !name.includes(0) &&
  !name.includes("/") &&
  !name.equals(Buffer.from(".")) &&
  !name.equals(Buffer.from(".."));

/** One name in a folder, as bytes: a file system may hold any but zero and the slash. */
const Name = Bytes.refine(isName, "not a name in a folder");
const Text = z.string().max(400);

export const EntryType = z.enum([
  "file",
  "folder",
  "link",
  "block device",
  "character device",
  "pipe",
  "socket",
]);
export type EntryType = z.infer<typeof EntryType>;

const Id = z.int().min(0).max(0xffffffff);
export const Entry = z.strictObject({
  say: z.literal("entry"),
  /** Empty for the top of a volume. */
  name: z.union([z.literal("").transform(() => Buffer.alloc(0)), Name]),
  type: EntryType,
  mode: z.int().min(0).max(0o7777),
  uid: Id,
  gid: Id,
  /** Of a file; 0 for everything else. */
  sizeBytes: z.int().nonnegative(),
  modifiedSeconds: z.int(),
  /**
   * Of a file with several names, its number in this answer. The first name has the next number, and the
   * bytes; the others have none.
   */
  shared: z
    .int()
    .min(0)
    .max(MOST_SHARED - 1)
    .optional(),
  /** Where a link leads. */
  target: Bytes.refine((target) => target.length <= MOST_PATH_BYTES && !target.includes(0)).optional(),
  /** Of a device. */
  major: Id.optional(),
  minor: Id.optional(),
});
export type Entry = z.infer<typeof Entry>;

export const BrowsedVolume = z.strictObject({
  /** `disk`, `partition 2`, `vg0/root`. Unique on its disk. */
  name: z.string().min(1).max(300),
  sizeBytes: z.int().nonnegative(),
  /** As `blkid` names it; absent if nothing is recognised. */
  type: Text.optional(),
  label: Text.optional(),
  /** Why it cannot be browsed. */
  problem: Text.optional(),
});
export type BrowsedVolume = z.infer<typeof BrowsedVolume>;

const FAILURES = ["no such volume", "no file system", "no such path", "not a file", "unreadable"] as const;

/** What the guest says. A file's content is between its entry and the next message, in data frames. */
export const GuestMessage = z.discriminatedUnion("say", [
  z.strictObject({ say: z.literal("ready") }),
  z.strictObject({ say: z.literal("volumes"), volumes: z.array(BrowsedVolume).max(MOST_VOLUMES) }),
  Entry,
  /** The folder that was entered last is complete. */
  z.strictObject({ say: z.literal("leave") }),
  z.strictObject({ say: z.literal("end") }),
  z.strictObject({ say: z.literal("failed"), why: z.enum(FAILURES), detail: Text }),
]);
export type GuestMessage = z.infer<typeof GuestMessage>;
export type GuestFailure = Extract<GuestMessage, { say: "failed" }>;

/** What the operator's machine asks, one question at a time. Disks are numbered as they are attached. */
export const Question = z.discriminatedUnion("ask", [
  z.strictObject({ ask: z.literal("volumes"), disk: z.int().nonnegative() }),
  z.strictObject({
    /** `list`: an entry, and those directly in it. `content`: everything in it, with content. */
    ask: z.enum(["list", "content"]),
    disk: z.int().nonnegative(),
    volume: z.string(),
    path: Bytes,
  }),
]);
export type Question = z.infer<typeof Question>;
