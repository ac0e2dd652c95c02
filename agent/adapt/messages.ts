/** What this machine and the guest that adapts a system say to each other. */
import * as z from "zod";
import { Sha256 } from "#shared/protocol/boot-image.ts";
import { MOST_DIFF_CHARACTERS, SourceDiskIdentity, WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { SentKeys } from "./disk-key.ts";

/** The name of the guest's port on the channel. */
export const ADAPT_PORT = "causeway.adapt";
/** The files of all kernels' initramfs images together. */
export const MOST_CONTENT_BYTES: number = 1024 * 2 ** 20;
/** Inputs that one message names. */
export const INPUTS_AT_ONCE = 500;
const MOST_SECONDS = 86_400;

const SystemPath = z
  .string()
  .max(4096)
  .regex(/^(\/[^/\0]+)+$/)
  .refine((path) => path.split("/").every((name) => name !== "." && name !== ".."), "a path without dots");
const Text = z.string().max(1000);

/** A change of one file of the system, for exactly the version of it that was seen. */
export const FileChange = z.strictObject({
  path: SystemPath,
  /** Absent if the file does not exist before. */
  beforeSha256: Sha256.optional(),
  /** Absent if the file is removed. */
  after: z.strictObject({ sha256: Sha256, sizeBytes: z.int().min(0).max(MOST_CONTENT_BYTES) }).optional(),
  mode: z.int().min(0).max(0o7777),
  why: z.array(Text).min(1).max(50),
  /** For people: changed lines, or what happened to something that is not text. */
  diff: z.string().max(MOST_DIFF_CHARACTERS),
});
export type FileChange = z.infer<typeof FileChange>;

/** What the changes were computed from, by name, each with a hash: paths of files, and lists. */
const Inputs = z.array(z.tuple([z.string().min(1).max(4096), Sha256])).max(INPUTS_AT_ONCE);

/** In the order in which they are attached. */
const Disks = z.array(SourceDiskIdentity).min(1).max(256);

/**
 * What the guest is asked. `compute` is one message. `apply` is followed by `inputs`, by each `change`, and
 * by `end`. A change's content is at `offset` on the disk that follows those of the system.
 */
export const AdaptTask = z.discriminatedUnion("task", [
  z.strictObject({ task: z.literal("compute"), disks: Disks, keys: SentKeys, wanted: WantedMachine }),
  z.strictObject({ task: z.literal("apply"), disks: Disks, keys: SentKeys }),
  z.strictObject({ task: z.literal("inputs"), inputs: Inputs }),
  z.strictObject({
    ...{ task: z.literal("change"), change: FileChange },
    offset: z.int().nonnegative().optional(),
  }),
  z.strictObject({ task: z.literal("end") }),
]);
export type AdaptTask = z.infer<typeof AdaptTask>;

/** A program of the system that ran in it. */
export const RanProgram = z.strictObject({
  command: Text,
  why: z.array(Text).max(50),
  seconds: z.number().max(MOST_SECONDS),
});
export type RanProgram = z.infer<typeof RanProgram>;

/** What the guest says. The content of a change follows it, in data frames. */
export const AdaptAnswer = z.discriminatedUnion("say", [
  z.strictObject({ say: z.literal("ready") }),
  z.strictObject({ say: z.literal("working"), on: Text }),
  z.strictObject({ say: z.literal("inputs"), inputs: Inputs }),
  z.strictObject({ say: z.literal("change"), change: FileChange }),
  z.strictObject({
    say: z.literal("computed"),
    notes: z.array(Text).max(200),
    commands: z.array(RanProgram).max(100),
  }),
  /** Nothing was changed, because these inputs are others now. */
  z.strictObject({ say: z.literal("stale"), inputs: z.array(Text).max(200) }),
  z.strictObject({ say: z.literal("applied") }),
  z.strictObject({
    ...{ say: z.literal("failed"), detail: z.string().max(4000) },
    /** Some files may be changed on the disks, each of them whole. */
    hasWritten: z.boolean(),
  }),
]);
export type AdaptAnswer = z.infer<typeof AdaptAnswer>;
