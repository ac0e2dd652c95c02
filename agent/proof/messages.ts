/** What a target host and the guest that reads the files of a clone say to each other. */
import * as z from "zod";
import { Sha256 } from "#shared/protocol/boot-image.ts";
import { DiskName } from "#shared/protocol/ids.ts";
import { SentKeys } from "../adapt/disk-key.ts";
import { isPlainPath } from "./beneath.ts";

/** The name of the guest's port on the channel. */
export const PROVE_PORT = "causeway.prove";
/** Files of one question: a frame has room for as many paths, each as long as Linux allows. */
export const FILES_AT_ONCE = 32;
const MOST_FILE_SYSTEMS = 512;

const Text = z.string().max(400);
const Path = z
  .base64()
  .transform((text) => Buffer.from(text, "base64"))
  .refine(isPlainPath);

/**
 * What the guest is asked: to open the file systems of the attached disks, once, and then to read files. It
 * does not get to know what they should be.
 */
export const ProveTask = z.discriminatedUnion("task", [
  z.strictObject({
    task: z.literal("open"),
    /** Their names, in the order in which they are attached. */
    disks: z.array(DiskName).min(1).max(256),
    keys: SentKeys,
  }),
  z.strictObject({
    task: z.literal("read"),
    fileSystem: z.string().max(64),
    paths: z.array(Path).min(1).max(FILES_AT_ONCE),
  }),
]);
export type ProveTask = z.input<typeof ProveTask>;

/** A file as the guest's kernel shows it. */
export const SeenFile = z.union([
  z.strictObject({
    inode: z.string().regex(/^\d{1,20}$/),
    sizeBytes: z.int().nonnegative(),
    mode: z.int().min(0).max(0o7777),
    modified: z.string().regex(/^-?\d{1,25}$/),
    sha256: Sha256,
  }),
  z.strictObject({ problem: z.enum(["missing", "no-file", "unreadable"]) }),
]);
export type SeenFile = z.infer<typeof SeenFile>;

/** What the guest says. One `file` for each path, in their order. */
export const ProveAnswer = z.discriminatedUnion("say", [
  z.strictObject({ say: z.literal("ready") }),
  z.strictObject({
    say: z.literal("opened"),
    fileSystems: z
      .array(z.strictObject({ uuid: z.string().max(64), problem: Text.optional() }))
      .max(MOST_FILE_SYSTEMS),
  }),
  z.strictObject({ say: z.literal("file"), file: SeenFile }),
  z.strictObject({ say: z.literal("failed"), detail: z.string().max(4000) }),
]);
export type ProveAnswer = z.infer<typeof ProveAnswer>;
