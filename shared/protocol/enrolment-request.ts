/**
 * How a machine that was started by hand becomes a source server: it shows a code, and an operator approves
 * it. After RFC 8628.
 */
import * as z from "zod";
import { Timestamp } from "./common.ts";
import { DiskName } from "./ids.ts";
import { Enrolment } from "./resources.ts";

/**
 * Letters that cannot be mistaken for another letter or a digit, and no vowels, so that no code is a word.
 */
export const CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ";
export const CODE_LENGTH = 8;

/** How long a machine waits before it asks again whether it is approved. */
export const POLL_SECONDS = 5;

/** A code as an operator types it, with or without the dash, in any case. It parses to eight capitals. */
export const EnrolmentCode = z
  .string()
  .max(40)
  .transform((typed) => typed.toUpperCase().replaceAll(/[\s-]/g, ""))
  .pipe(z.string().regex(new RegExp(`^[${CODE_LETTERS}]{${CODE_LENGTH}}$`), "is not like BCDF-GHJK"));

/** `BCDF-GHJK`. */
export function shownCode(code: string): string {
  const half = CODE_LENGTH / 2;
  return `${code.slice(0, half)}-${code.slice(half)}`;
}

/**
 * Text that anyone can send and an operator's terminal shows, so it must not move the cursor or reverse the
 * writing direction.
 */
const plainText = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\p{C}]+$/u, "has characters that cannot be shown");

/**
 * How an operator recognises the machine. The machine says this itself: only the code proves which one it is.
 */
export const MachineDescription = z.strictObject({
  name: plainText(100),
  macAddresses: z.array(z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)).max(16),
  disks: z
    .array(
      z.strictObject({
        name: DiskName,
        sizeBytes: z.int().nonnegative(),
        model: plainText(100).optional(),
      }),
    )
    .max(64),
});
export type MachineDescription = z.infer<typeof MachineDescription>;

export const NewEnrolmentRequest = MachineDescription.extend({
  /** PKCS #10, PEM; the key never leaves the machine. */
  csr: z.string().min(1).max(8192),
});

/** The answer to the machine, and to no one else. */
export const EnrolmentOffer = z.object({
  id: z.string(),
  /** For its screen. */
  code: z.string(),
  /**
   * Proves that the machine that claims the identity is the one that asked for the code. Stored as a hash.
   */
  secret: z.string(),
  expiresAt: Timestamp,
  /** How long the machine waits before it asks again. */
  pollSeconds: z.int().positive(),
});
export type EnrolmentOffer = z.infer<typeof EnrolmentOffer>;

/** The request as operators see it, without the code: the operator reads that from the machine's screen. */
export const EnrolmentRequest = z.object({
  id: z.string(),
  state: z.enum(["pending", "approved", "claimed", "expired"]),
  machine: MachineDescription,
  /** Where the request came from. */
  address: z.string(),
  createdAt: Timestamp,
  expiresAt: Timestamp,
  /** Once approved: the source server that the machine becomes. */
  sourceId: z.string().optional(),
  approvedBy: z.string().optional(),
});
export type EnrolmentRequest = z.infer<typeof EnrolmentRequest>;

export const EnrolmentApproval = z.strictObject({ code: EnrolmentCode });

export const EnrolmentClaim = z.strictObject({ secret: z.string().min(1).max(200) });

export const EnrolmentClaimAnswer = z.discriminatedUnion("state", [
  z.object({ state: z.literal("pending"), pollSeconds: z.int().positive() }),
  z.object({ state: z.literal("claimed"), enrolment: Enrolment }),
]);
