/** What the tracker says of one disk, and what it read: the lines that the helper prints. */
import * as z from "zod";

const Count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** The helper prints each byte that is not ASCII as a character of its own. */
const Text = z.string().transform((bytes) => Buffer.from(bytes, "latin1").toString("utf8"));

/** The state of one tracked disk at one moment. */
export const DiskStatus = z.object({
  /** `major:minor`. */
  device: z.string().regex(/^\d+:\d+$/),
  events: z.enum(["request", "bio"]),
  /** The start of the system in which the disk was attached. */
  bootId: z.string().min(1),
  /** What the agent knew the disk by when it attached it. */
  identity: Text,
  /** Random, new at each attachment. */
  generation: z.string().regex(/^[0-9a-f]{32}$/),
  /** How many recovery points were committed since then. */
  sequence: Count,
  attachedBytes: Count,
  /** The kernel's own number for this very disk, 0 if it has none. */
  attachedDiskSequence: Count,
  /** The size now; 0 if the disk is gone. */
  bytes: Count,
  diskSequence: Count,
  granuleBytes: Count.positive(),
  granules: Count,
  /** Marked since the last pass began, found by the current pass, and read but in no recovery point yet. */
  dirtyGranules: Count,
  passGranules: Count,
  unsavedGranules: Count,
  /** Ranges marked, and completions seen. */
  marked: Count,
  completed: Count,
  /** Events whose range is not known, passthrough commands, and ranges beyond the attached size. */
  lost: Count,
  passthrough: Count,
  beyond: Count,
  /** Writes that the programs saw, and those that only the kernel counted. */
  seenBytes: Count,
  unseenBytes: Count,
  /** How often the kernel skipped each program. */
  skipped: z.object({ issue: Count, complete: Count, queue: Count, end: Count }),
});
export type DiskStatus = z.infer<typeof DiskStatus>;

export const FreezeState = z.enum([
  "not-tried",
  "freezing",
  "frozen",
  "busy",
  "unsupported",
  "failed",
  "at-work",
]);
export type FreezeState = z.infer<typeof FreezeState>;

const FrozenMount = z.object({
  path: Text,
  /** `busy`: another program has frozen it. `at-work`: a freeze would wait for its scrub, or the like. */
  state: FreezeState,
  /** The system's message, if the state is not `frozen`. */
  error: Text,
  /** Whether someone else thawed it before we did. */
  wasThawed: z.boolean(),
});
export type FrozenMount = z.infer<typeof FrozenMount>;

/** How a frozen read ended. Only after `converged` does the copy have the instant of the freeze. */
export const FreezeOutcome = z.enum([
  "converged",
  "time-limit",
  "byte-limit",
  "read-error",
  "swap-error",
  "thawed",
]);
export type FreezeOutcome = z.infer<typeof FreezeOutcome>;

const Freeze = z.object({
  outcome: FreezeOutcome,
  error: Text,
  rounds: Count,
  freezeMilliseconds: z.number().nonnegative(),
  startedAtMs: Count,
  endedAtMs: Count,
  mounts: z.array(FrozenMount),
});

/** One line of the helper's output. */
export const HelperLine = z.discriminatedUnion("type", [
  DiskStatus.extend({ type: z.literal("disk") }),
  /** Runs of changed granules: first granule, and how many. */
  z.object({ type: z.literal("runs"), runs: z.array(z.tuple([Count, Count.positive()])) }),
  z.object({ type: z.literal("end"), granules: Count }),
  Freeze.extend({ type: z.literal("freeze") }),
  /** What the note of a killed freeze had: thawed now, or why not. */
  z.object({ type: z.literal("thawed"), path: Text, error: Text }),
  /** Index of the disk, offset, and length of what was read. */
  z.object({ type: z.literal("frames"), frames: z.array(z.tuple([Count, Count, Count.positive()])) }),
  /** After this line come this many bytes. */
  z.object({ type: z.literal("data"), bytes: Count }),
  z.object({ type: z.literal("error"), code: z.string().min(1), message: Text }),
]);
export type HelperLine = z.infer<typeof HelperLine>;
