/** A one-time right to enrol. Only the hash of the token is stored. */
import * as z from "zod";
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
  /**
   * The agent that used it. For `REPEAT_SECONDS`, the same certificate request may arrive again, because the
   * answer may have been lost.
   */
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

/** How long the agent that used a token may repeat the same request. */
const REPEAT_SECONDS = 600;

export type UsedToken = TokenRecord & { use: NonNullable<TokenRecord["use"]> };
type Certificate = NonNullable<UsedToken["use"]["certificate"]>;

export function isUsed(token: TokenRecord | undefined): token is UsedToken {
  return token?.use !== undefined;
}

/**
 * The token, marked as used by this request. Returns the token unchanged if the request that used it is
 * repeated, so that an interrupted enrolment can continue. Throws `EnrolmentRefusedError` for everything
 * else.
 */
export function used(
  token: TokenRecord | undefined,
  request: { role: EnrollableRole; requestHash: string; agentId: string },
  nowMs: number,
): UsedToken {
  if (!token || token.role !== request.role) throw new EnrolmentRefusedError();
  if (isUsed(token)) {
    const repeated = token.use.requestHash === request.requestHash;
    if (repeated && nowMs <= Date.parse(token.use.at) + REPEAT_SECONDS * 1000) return token;
    throw new EnrolmentRefusedError();
  }
  if (nowMs > Date.parse(token.validUntil)) throw new EnrolmentRefusedError();
  const { agentId, requestHash } = request;
  return { ...token, use: { agentId, requestHash, at: new Date(nowMs).toISOString() } };
}

/** The used token with the certificate of its request. An earlier certificate stays. */
export function certified(token: UsedToken, certificate: Certificate): UsedToken {
  return token.use.certificate ? token : { ...token, use: { ...token.use, certificate } };
}

/** The token, unused again, unless its request already has a certificate. */
export function givenBack(token: UsedToken): TokenRecord {
  if (token.use.certificate) return token;
  const { use: _, ...rest } = token;
  return rest;
}
