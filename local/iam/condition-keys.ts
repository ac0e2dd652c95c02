import { UnsupportedError } from "../core/aws-error.ts";
import { globExpression } from "./glob.ts";

/**
 * The condition keys (and policy variables) that the embedded cloud fills in wherever AWS would. A policy
 * with another key cannot be evaluated. If the key counted as absent, negated conditions would be true and
 * could allow too much.
 */
const KNOWN_KEYS = [
  "aws:PrincipalAccount",
  "aws:PrincipalArn",
  "aws:PrincipalIsAWSService",
  "aws:PrincipalServiceName",
  "aws:RequestedRegion",
  "aws:ResourceAccount",
  "aws:SecureTransport",
  "aws:SourceAccount",
  "aws:SourceArn",
  "credentials-iot:*",
  "iam:PassedToService",
  "iot:*",
  "kms:CallerAccount",
  "kms:EncryptionContext:*",
  "kms:EncryptionContextKeys",
  "kms:MessageType",
  "kms:SigningAlgorithm",
  "kms:ViaService",
  "s3:delimiter",
  "s3:if-match",
  "s3:if-none-match",
  "s3:max-keys",
  "s3:prefix",
  "s3:x-amz-server-side-encryption",
  "s3:x-amz-server-side-encryption-aws-kms-key-id",
  "s3:x-amz-storage-class",
  "sts:ExternalId",
  "sts:RoleSessionName",
].map((pattern) => globExpression(pattern, "i"));

/** Throws unless the embedded cloud knows how to fill in the key. */
export function requireKnownKey(key: string): void {
  if (!KNOWN_KEYS.some((known) => known.test(key))) throw new UnsupportedError(`the condition key ${key}`);
}

/** A request's condition keys, each with one or more values. Keys ignore case. */
export class RequestContext {
  readonly #values = new Map<string, readonly string[]>();

  /** Later sources win over earlier ones. */
  constructor(...sources: (Record<string, string | string[]> | undefined)[]) {
    for (const source of sources) {
      for (const [key, value] of Object.entries(source ?? {}))
        this.#values.set(key.toLowerCase(), [value].flat());
    }
  }

  /** The values of a key, or `undefined` if the request does not have it. */
  values(key: string): readonly string[] | undefined {
    return this.#values.get(key.toLowerCase());
  }
}
