/** A one-time right to enrol. Only the hash of the token is stored. */
import { z } from "zod";
import { EnrolmentRefusedError } from "../errors.ts";
import { EnrollableRole, Timestamp } from "../protocol/common.ts";

export const TokenRecord = z.object({
  id: z.string(),
  /** SHA-256 of the token, hexadecimal. */
  hash: z.string(),
  role: EnrollableRole,
  createdAt: Timestamp,
  validUntil: Timestamp,
  createdBy: z.string(),
  /** Who used it. The same certificate request may come again for a while: its answer may have been lost. */
  use: z
    .object({
      agentId: z.string(),
      /** SHA-256 of the certificate request, hexadecimal. */
      requestHash: z.string(),
      at: Timestamp,
      certificate: z.object({ id: z.string(), arn: z.string(), pem: z.string() }).optional(),
    })
    .optional(),
  version: z.int(),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

/** For how long the agent that used a token may repeat the very same request. */
const REPEAT_SECONDS = 600;

/**
 * The token, used by this request. A repeat of the request that used it gives the token unchanged, so that an enrolment broken off half-way
 * goes on. Throws `EnrolmentRefusedError` for everything else.
 */
export function used(
  token: TokenRecord | undefined,
  request: { role: EnrollableRole; requestHash: string; agentId: string },
  nowMs: number,
): TokenRecord & { use: NonNullable<TokenRecord["use"]> } {
  if (!token || token.role !== request.role) throw new EnrolmentRefusedError();
  const { use } = token;
  if (use) {
    const repeated = use.requestHash === request.requestHash;
    if (!repeated || nowMs > Date.parse(use.at) + REPEAT_SECONDS * 1000) throw new EnrolmentRefusedError();
    return { ...token, use };
  }
  if (nowMs > Date.parse(token.validUntil)) throw new EnrolmentRefusedError();
  const { agentId, requestHash } = request;
  return { ...token, use: { agentId, requestHash, at: new Date(nowMs).toISOString() } };
}
