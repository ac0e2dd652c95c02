import { AwsError } from "../core/aws-error.ts";
import { type AccessRequest, type Authorizer, type Caller, REGION } from "../core/service.ts";
import type { Bucket, Encryption } from "./model.ts";
import { S3Error } from "./s3-error.ts";

/** Checks whether S3's caller may use a KMS key, as AWS does for every object with `aws:kms`. */
export interface KeyUse {
  /** Throws an `AwsError` when the caller's policies or the key's own do not allow the action. */
  authorizeKeyUse(caller: Caller, use: KeyUseRequest): void;
}
export interface KeyUseRequest {
  action: "kms:GenerateDataKey" | "kms:Decrypt";
  /** Key id or ARN, as the bucket or the request names it. */
  keyId: string;
  context: Record<string, string>;
}

export type AccessContext = NonNullable<AccessRequest["context"]>;

/** S3's own access rules, in addition to the policies. */
export class Access {
  readonly #authorizer: Authorizer;
  readonly #keys: KeyUse;

  constructor(options: { authorizer: Authorizer; keys: KeyUse }) {
    this.#authorizer = options.authorizer;
    this.#keys = options.keys;
  }

  /** Throws `AccessDenied` unless the caller may act on the bucket, or on the key if one is given. */
  check(
    caller: Caller,
    action: string,
    target: { bucket: Bucket; key?: string },
    context?: AccessContext,
  ): void {
    const { bucket, key } = target;
    const arn = `arn:aws:s3:::${bucket.name}`;
    denyAsS3(() =>
      this.#authorizer.authorize(caller, {
        action,
        resource: key === undefined ? arn : `${arn}/${key}`,
        ...(context ? { context } : {}),
        ...(bucket.policy ? { resourcePolicy: bucket.policy } : {}),
      }),
    );
  }

  /**
   * Runs `find` for a caller that may read the key. Only a caller that may list the bucket learns that an
   * object is missing; others get `AccessDenied`, so that they cannot probe for names.
   */
  findOrHide<T>(caller: Caller, bucket: Bucket, find: () => T): T {
    try {
      return find();
    } catch (error) {
      if (error instanceof S3Error && error.status === 404) this.check(caller, "s3:ListBucket", { bucket });
      throw error;
    }
  }

  /** Throws `AccessDenied` unless the caller may use the key that the encryption names. */
  checkKey(
    caller: Caller,
    action: KeyUseRequest["action"],
    encryption: Encryption,
    bucket: Bucket,
    key: string,
  ): void {
    const { keyId, bucketKey } = encryption;
    if (encryption.algorithm !== "aws:kms" || keyId === undefined) return;
    const arn = `arn:aws:s3:::${bucket.name}${bucketKey ? "" : `/${key}`}`;
    const context = {
      "kms:ViaService": `s3.${REGION}.amazonaws.com`,
      "kms:EncryptionContext:aws:s3:arn": arn,
    };
    denyAsS3(() => this.#keys.authorizeKeyUse(caller, { action, keyId, context }));
  }
}

function denyAsS3(authorize: () => void): void {
  try {
    authorize();
  } catch (error) {
    if (error instanceof AwsError && error.code === "AccessDeniedException")
      throw new S3Error("AccessDenied", error.message, { cause: error });
    throw error;
  }
}
