/**
 * A machine that was started by hand and asks for an identity: pending, until an operator approves the code
 * on its screen; approved, until the machine takes its identity. Codes and secrets are stored as hashes only.
 */
import { z } from "zod";
import { EnrolmentClaimRefusedError, WrongStateError } from "../errors.ts";
import { Timestamp } from "../protocol/common.ts";
import {
  CODE_LENGTH,
  CODE_LETTERS,
  type EnrolmentRequest,
  MachineDescription,
} from "../protocol/enrolment-request.ts";

/** As many as wait for somebody with a keyboard; more is a flood. */
export const MOST_PENDING = 100;
/** From one address: a room of machines behind one router. */
export const MOST_PENDING_PER_ADDRESS = 20;

/** How long a code is good for, and, once approved, how long the machine has to take its identity. */
export const REQUEST_LIFETIME_MS = 15 * 60_000;
/** For so long the machine may repeat what got it its identity: the answer may have been lost. */
const REPEAT_MS = 10 * 60_000;

export const EnrolmentRequestRecord = z.object({
  id: z.string(),
  /** SHA-256, hexadecimal. */
  codeHash: z.string(),
  secretHash: z.string(),
  csr: z.string(),
  machine: MachineDescription,
  address: z.string(),
  createdAt: Timestamp,
  validUntil: Timestamp,
  approval: z.object({ sourceId: z.string(), by: z.string(), at: Timestamp }).optional(),
  claim: z
    .object({
      at: Timestamp,
      certificate: z.object({ id: z.string(), arn: z.string(), pem: z.string() }).optional(),
    })
    .optional(),
  version: z.int(),
});
export type EnrolmentRequestRecord = z.infer<typeof EnrolmentRequestRecord>;

export type ClaimedRequest = EnrolmentRequestRecord &
  Required<Pick<EnrolmentRequestRecord, "approval" | "claim">>;
type Certificate = NonNullable<ClaimedRequest["claim"]["certificate"]>;

/** A new code, each as likely as any other. `random` gives that many random bytes. */
export function newCode(random: (length: number) => Uint8Array): string {
  // What is left over at the end would make the first letters likelier.
  const fair = 256 - (256 % CODE_LETTERS.length);
  let code = "";
  while (code.length < CODE_LENGTH) {
    for (const byte of random(CODE_LENGTH - code.length)) {
      if (byte < fair) code += CODE_LETTERS.charAt(byte % CODE_LETTERS.length);
    }
  }
  return code;
}

export function stateOf(request: EnrolmentRequestRecord, nowMs: number): EnrolmentRequest["state"] {
  if (request.claim) return "claimed";
  return nowMs > expiryOf(request) ? "expired" : request.approval ? "approved" : "pending";
}

/** Approved, to become this source. Throws `WrongStateError` unless it is pending: a code works once. */
export function approved(
  request: EnrolmentRequestRecord,
  approval: { sourceId: string; by: string },
  nowMs: number,
): EnrolmentRequestRecord {
  const state = stateOf(request, nowMs);
  if (state === "expired") {
    throw new WrongStateError("this code has expired", "The machine shows a new one: approve that.");
  }
  if (state !== "pending") {
    throw new WrongStateError(
      "this code was approved before",
      "Each code works once. Look at `causeway audit` for who approved it, and at `causeway sources`.",
    );
  }
  return { ...request, approval: { ...approval, at: new Date(nowMs).toISOString() } };
}

/**
 * Claimed, if it is approved; the very same while it is pending, and when a claim is repeated soon enough.
 * Throws `EnrolmentClaimRefusedError` for another's secret or a request that does not exist, without telling
 * which, and `WrongStateError` once it has expired.
 */
export function claimed(
  request: EnrolmentRequestRecord | undefined,
  secretHash: string,
  nowMs: number,
): EnrolmentRequestRecord {
  if (request?.secretHash !== secretHash) throw new EnrolmentClaimRefusedError();
  if (request.claim) {
    if (nowMs > Date.parse(request.claim.at) + REPEAT_MS) throw new EnrolmentClaimRefusedError();
    return request;
  }
  if (stateOf(request, nowMs) === "expired") {
    throw new WrongStateError("this request has expired", "Make a new one, with a new code.");
  }
  return request.approval ? { ...request, claim: { at: new Date(nowMs).toISOString() } } : request;
}

export function isClaimed(request: EnrolmentRequestRecord | undefined): request is ClaimedRequest {
  return request?.approval !== undefined && request.claim !== undefined;
}

/** With the certificate that it got; the first one stays. */
export function withCertificate(request: ClaimedRequest, certificate: Certificate): ClaimedRequest {
  return request.claim.certificate ? request : { ...request, claim: { ...request.claim, certificate } };
}

/** As operators see it. */
export function requestOf(request: EnrolmentRequestRecord, nowMs: number): EnrolmentRequest {
  const { id, machine, address, createdAt, approval } = request;
  return {
    id,
    state: stateOf(request, nowMs),
    machine,
    address,
    createdAt,
    expiresAt: new Date(expiryOf(request)).toISOString(),
    ...(approval ? { sourceId: approval.sourceId, approvedBy: approval.by } : {}),
  };
}

/** Whether one more may be added to those that are pending. */
export function mayBeAdded(pending: readonly EnrolmentRequestRecord[], address: string): boolean {
  const fromThere = pending.filter((one) => one.address === address).length;
  return pending.length < MOST_PENDING && fromThere < MOST_PENDING_PER_ADDRESS;
}

/** An approved machine has the whole time again: its network may be away just then. */
function expiryOf({ validUntil, approval }: EnrolmentRequestRecord): number {
  return approval ? Date.parse(approval.at) + REQUEST_LIFETIME_MS : Date.parse(validUntil);
}
