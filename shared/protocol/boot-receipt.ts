/**
 * The proof that a cold-cloned machine has its boot loader back: every touched piece of boot state before and
 * after, signed with the key of the machine's agent. It is stored with the conversion.
 */
import * as z from "zod";
import { AgentSignature } from "./agent-signature.ts";
import { Timestamp } from "./common.ts";
import { AgentId, RestarterId } from "./ids.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One piece of boot state at one time. */
export const BootStateItem = z.discriminatedUnion("present", [
  z.strictObject({ present: z.literal(false) }),
  z.strictObject({
    present: z.literal(true),
    /** The hash of its bytes; absent for folders. */
    sha256: Sha256.optional(),
    sizeBytes: z.int().nonnegative().optional(),
    mode: z.int().nonnegative().optional(),
    uid: z.int().nonnegative().optional(),
    gid: z.int().nonnegative().optional(),
    /** Nanoseconds since 1970. */
    modifiedNs: z
      .string()
      .regex(/^-?\d+$/)
      .optional(),
  }),
]);
export type BootStateItem = z.infer<typeof BootStateItem>;

/**
 * `equal`: as it was. `changed-by-others`: only others changed it; their change stays and is not a failure.
 * `different`: something that arming wrote is left, or the change is unknown.
 */
export const BootStateOutcome = z.enum(["equal", "changed-by-others", "different"]);
export type BootStateOutcome = z.infer<typeof BootStateOutcome>;

/** The outcome of a whole boot state: the worst of its items' outcomes. */
export function worstOutcome(items: readonly { outcome: BootStateOutcome }[]): BootStateOutcome {
  const found = new Set(items.map(({ outcome }) => outcome));
  return BootStateOutcome.options.findLast((outcome) => found.has(outcome)) ?? "equal";
}

export const MAX_VARIABLE_NAME = 64;
export const MAX_VARIABLES = 32;

export const BootReceiptItem = z.strictObject({
  /**
   * `watched-file`: a file that arming does not touch, recorded as proof of that. `boot-configuration`:
   * Windows' boot configuration, compared as a whole.
   */
  kind: z.enum(["file", "watched-file", "folder", "variable", "boot-configuration"]),
  /** The path in the original system, or the name of the firmware variable. */
  name: z.string().max(1024),
  before: BootStateItem,
  after: BootStateItem,
  /**
   * Compares bytes, permissions, owner and time of change (within a microsecond; not on FAT, which stores
   * local time).
   */
  outcome: BootStateOutcome,
  /** If others changed GRUB's environment block: the variables that they changed. */
  variables: z.array(z.string().max(MAX_VARIABLE_NAME)).max(MAX_VARIABLES).optional(),
});
export type BootReceiptItem = z.infer<typeof BootReceiptItem>;

/** The agent's name for what it arms, such as `grub` or `boot-next`. */
export const BootLoaderKind = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/);
export type BootLoaderKind = z.infer<typeof BootLoaderKind>;

/** The signed part of a receipt. */
export const BootReceiptContent = z.strictObject({
  format: z.literal(2),
  /** Or the cutover. */
  conversionId: RestarterId,
  /** The attesting agent, whose certificate has the key. */
  agentId: AgentId,
  /** The operator who asked for the conversion. */
  requestedBy: z.string().min(1).max(256),
  loader: BootLoaderKind,
  /** When the state was saved, and when it was read again. */
  savedAt: Timestamp,
  attestedAt: Timestamp,
  /** The boot of the attesting system. */
  bootId: z.string().max(64),
  items: z.array(BootReceiptItem).max(256),
  /** The worst of the items'. */
  outcome: BootStateOutcome,
});
export type BootReceiptContent = z.infer<typeof BootReceiptContent>;

export const BootReceipt = z.strictObject({
  content: BootReceiptContent,
  signature: AgentSignature,
});
export type BootReceipt = z.infer<typeof BootReceipt>;
