/** Proofs: files as a source's kernel reads them, compared with what a guest's kernel reads on a clone. */
import * as z from "zod";
import { AgentSignature } from "./agent-signature.ts";
import { Sha256 } from "./boot-image.ts";
import { Timestamp } from "./common.ts";
import { AgentId, DiskName, disksOf, OwnerId, PointId } from "./ids.ts";
import { ownedPoint, WrittenDisk } from "./written-disk.ts";

/** How long a source's files are read. */
export const ProofBudget = z.int().min(5).max(3600);

/** Differences that are named; the others are only counted. */
export const MOST_DIFFERENCES = 20;
/** File systems that are named. */
export const MOST_FILE_SYSTEMS = 50;
const MOST_TEXT = 400;
const Text = z.string().max(MOST_TEXT);
const Count = z.int().nonnegative();

/** A text that fits into a message. */
export function proofText(text: string): string {
  return text.length <= MOST_TEXT ? text : `${text.slice(0, MOST_TEXT - 1)}…`;
}

/** Something on a source's disks that was not read, and why. */
const LeftOut = z.object({ place: Text, why: Text });
export type LeftOut = z.infer<typeof LeftOut>;

/** What a source's agent came to. Files are regular files, each counted once, however many names it has. */
export const HashedFiles = z.object({
  /** The name of the pack with the list of files; absent if no file can be compared. */
  list: Sha256.optional(),
  /** In the list. */
  files: Count,
  bytes: Count,
  /** Of these disks, as far as there was time to look. */
  found: Count,
  /** Whether there was time to find all of them. */
  foundAll: z.boolean(),
  /** Changed since the freeze, or while they were read: they cannot be compared. */
  changed: Count,
  /** That the kernel refused to read. */
  unreadable: Count,
  /** Mounted file systems of these disks that were left out, and parts of them; the first ones. */
  leftOut: z.array(LeftOut).max(MOST_FILE_SYSTEMS),
  /** What should be compared, and could not be opened in the boot environment; the first ones. */
  unopened: z.array(LeftOut).min(1).max(MOST_FILE_SYSTEMS).optional(),
  seconds: z.number().nonnegative(),
  /** Of the source's agent. Older ones do not say. */
  agentVersion: Text.optional(),
  /** Present if the files were read in the source's boot environment, where nothing else writes. */
  system: z.literal("boot-environment").optional(),
});
export type HashedFiles = z.infer<typeof HashedFiles>;

/** `unreadable`: the guest's kernel cannot read it, though the source's could. */
export const FileDifference = z.enum([
  "missing",
  "no-file",
  "size",
  "mode",
  "modified",
  "content",
  "unreadable",
]);
export type FileDifference = z.infer<typeof FileDifference>;

/** What a target host found on a clone. */
export const ComparedFiles = z.object({
  equal: Count,
  /** Of the equal files. */
  bytes: Count,
  /**
   * The clone has no file there, or another one, but a folder on the path has changed since the freeze: the
   * file may have been elsewhere then, so this is no difference, and proves nothing.
   */
  moved: Count,
  different: Count,
  /** The first of them. */
  differences: z
    .array(z.object({ fileSystem: Text, path: Text, what: FileDifference }))
    .max(MOST_DIFFERENCES),
  /** File systems that the guest could not open, each with its number of listed files. */
  unopened: z.array(z.object({ fileSystem: Text, files: Count, why: Text })).max(MOST_FILE_SYSTEMS),
  seconds: z.number().nonnegative(),
});
export type ComparedFiles = z.infer<typeof ComparedFiles>;

/** `equal`: every listed file, and there is one. `unknown`: no difference was found, which proves nothing. */
export const ProofOutcome = z.enum(["equal", "different", "unknown"]);
export type ProofOutcome = z.infer<typeof ProofOutcome>;

/** Of each list of what was found, the first ones that a receipt names. */
export const MOST_IN_RECEIPT = 10;

/** The signed part of a proof receipt: what a target host compared with what, and what that comes to. */
const ReceiptContent = z.strictObject({
  format: z.literal(1),
  /** The drill, recovery or cutover. */
  ownerId: OwnerId,
  sourceId: AgentId,
  pointId: PointId,
  /**
   * The instant that was compared: when the point's freeze began, by the source's clock. Absent if both the
   * disks and the files were read in the boot environment, where nothing changes.
   */
  frozenFrom: Timestamp.optional(),
  /** The target host's agent, which compared the files, and signs. */
  agentId: AgentId,
  agentVersion: Text,
  /** The boot image whose kernel read the clone's files. */
  bootImageId: Sha256,
  /** By the target host's clock. */
  comparedAt: Timestamp,
  /** What the source's agent read, as the control plane told the target host. */
  hashed: HashedFiles.strict().extend({
    /** The name of the list that the target host has read. */
    list: Sha256,
    leftOut: z.array(LeftOut).max(MOST_IN_RECEIPT),
    unopened: z.array(LeftOut).min(1).max(MOST_IN_RECEIPT).optional(),
  }),
  compared: ComparedFiles.strict().extend({
    differences: ComparedFiles.shape.differences.max(MOST_IN_RECEIPT),
    unopened: ComparedFiles.shape.unopened.max(MOST_IN_RECEIPT),
  }),
  outcome: ProofOutcome,
  /** Why it is unknown. */
  reason: Text.optional(),
});
export const ProofReceiptContent = ReceiptContent.refine(
  ({ frozenFrom, hashed }) => (frozenFrom === undefined) === (hashed.system !== undefined),
  "it is of an instant, or of a source in its boot environment",
);
export type ProofReceiptContent = z.infer<typeof ProofReceiptContent>;

export const ProofReceipt = z.strictObject({ content: ProofReceiptContent, signature: AgentSignature });
export type ProofReceipt = z.infer<typeof ProofReceipt>;

export const proofCommands = {
  /**
   * Hashes files of the disks' mounted file systems that have not changed since a recovery point, and stores
   * the list in the repository. In the boot environment, it mounts them, read-only, and hashes all files.
   * Changes nothing on the disks.
   */
  "hash-files": {
    input: z.object({
      ownerId: OwnerId,
      pointId: PointId,
      disks: z.array(DiskName).min(1).max(256),
      /** When the freeze of that point began, by the source's clock; absent in the boot environment. */
      frozenFrom: Timestamp.optional(),
      budgetSeconds: ProofBudget,
    }),
    output: HashedFiles,
  },

  /**
   * Compares the files of such a list with what a guest's kernel reads on the written disks. The disks stay
   * as they are. With `hashed`, the agent signs what it found.
   */
  "compare-files": {
    input: z.object({
      ...ownedPoint,
      disks: disksOf(WrittenDisk),
      list: Sha256,
      /** In the list. */
      files: Count,
      /** What the source's agent came to, and when the freeze of the point began, by its clock. */
      hashed: HashedFiles.optional(),
      frozenFrom: Timestamp.optional(),
    }),
    output: ComparedFiles.extend({
      /** Absent from an older agent. */
      receipt: ProofReceipt.optional(),
    }),
  },
} as const;

export const Proof = z.object({
  pointId: PointId,
  outcome: ProofOutcome,
  /** Why it is unknown. */
  reason: Text.optional(),
  at: Timestamp,
  hashed: HashedFiles.optional(),
  compared: ComparedFiles.optional(),
});
export type Proof = z.infer<typeof Proof>;

/** The proof of a recovery point that says most: a difference, or else equal files; the newest of those. */
export const PointProof = z.object({
  ownerId: OwnerId,
  outcome: ProofOutcome,
  /** That are equal, and their bytes. */
  files: Count,
  bytes: Count,
  at: Timestamp,
});
export type PointProof = z.infer<typeof PointProof>;
