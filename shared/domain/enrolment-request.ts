/**
 * The request of a machine that was started by hand and asks for an identity. It is pending until an operator
 * approves the code on the machine's screen, and approved until the machine claims its identity. Codes and
 * secrets are stored as hashes only.
 */
import * as z from "zod";
import { EnrolmentClaimRefusedError, WrongStateError } from "../errors.ts";
import { Timestamp } from "../protocol/common.ts";
import {
  CODE_LENGTH,
  CODE_LETTERS,
  type EnrolmentRequest,
  MachineDescription,
} from "../protocol/enrolment-request.ts";

/** More pending requests than this are a flood, because a person starts and approves each machine. */
export const MOST_PENDING = 100;
/** The same limit for one address, which may be a router with a room of machines behind it. */
export const MOST_PENDING_PER_ADDRESS = 20;

/** How long a code is valid, and how long the machine has to claim its identity after the approval. */
export const REQUEST_LIFETIME_MS = 15 * 60_000;
/** How long the machine may repeat a successful claim, because the answer may have been lost. */
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

/** A new code; all codes are equally likely. `random` returns the given number of random bytes. */
export function newCode(random: (length: number) => Uint8Array): string {
  // Bytes above this limit would make the first letters likelier.
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
    throw new WrongStateError("this code has expired", "The machine shows a new code: approve that one.");
  }
  if (state !== "pending") {
    throw new WrongStateError(
      "this code was already approved",
      "Each code works once. `causeway audit` shows who approved it, and `causeway sources` the machine.",
    );
  }
  return { ...request, approval: { ...approval, at: new Date(nowMs).toISOString() } };
}

/**
 * The request, claimed, if it is approved. Returns the same request while it is pending, and for a claim that
 * is repeated within `REPEAT_MS`. Throws `EnrolmentClaimRefusedError` for a wrong secret or a request that
 * does not exist, without saying which, and `WrongStateError` once the request has expired.
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

/** The request with its certificate. An earlier certificate stays. */
export function withCertificate(request: ClaimedRequest, certificate: Certificate): ClaimedRequest {
  return request.claim.certificate ? request : { ...request, claim: { ...request.claim, certificate } };
}

/** The request as operators see it. */
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

/** Whether the limits allow one more request from this address. */
export function mayBeAdded(pending: readonly EnrolmentRequestRecord[], address: string): boolean {
  const fromThere = pending.filter((one) => one.address === address).length;
  return pending.length < MOST_PENDING && fromThere < MOST_PENDING_PER_ADDRESS;
}

/** Approval restarts the full lifetime, because the machine's network may be down at that moment. */
function expiryOf({ validUntil, approval }: EnrolmentRequestRecord): number {
  return approval ? Date.parse(approval.at) + REQUEST_LIFETIME_MS : Date.parse(validUntil);
}
