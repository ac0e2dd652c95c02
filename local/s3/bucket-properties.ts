/**
 * The properties of `AWS::S3::Bucket` and `AWS::S3::BucketPolicy` that this S3 accepts. Any other is an
 * error.
 */
import * as z from "zod";
import type { PolicyDocument } from "../core/service.ts";
import type { Encryption, LifecycleRule } from "./model.ts";

const days = z.int().positive();

const LifecycleRuleProperties = z
  .strictObject({
    Id: z.string().optional(),
    Status: z.enum(["Enabled", "Disabled"]),
    Prefix: z.string().default(""),
    ExpirationInDays: days.optional(),
    ExpiredObjectDeleteMarker: z.boolean().default(false),
    NoncurrentVersionExpiration: z
      .strictObject({ NoncurrentDays: days, NewerNoncurrentVersions: z.int().positive().optional() })
      .optional(),
    AbortIncompleteMultipartUpload: z.strictObject({ DaysAfterInitiation: days }).optional(),
  })
  .transform((rule) => {
    const noncurrent = rule.NoncurrentVersionExpiration;
    const parsed: LifecycleRule = {
      prefix: rule.Prefix,
      expiredDeleteMarkers: rule.ExpiredObjectDeleteMarker,
      ...(rule.ExpirationInDays ? { expirationDays: rule.ExpirationInDays } : {}),
      ...(noncurrent
        ? {
            noncurrent: {
              days: noncurrent.NoncurrentDays,
              keepNewest: noncurrent.NewerNoncurrentVersions ?? 0,
            },
          }
        : {}),
      ...(rule.AbortIncompleteMultipartUpload
        ? { abortUploadDays: rule.AbortIncompleteMultipartUpload.DaysAfterInitiation }
        : {}),
    };
    return { enabled: rule.Status === "Enabled", rule: parsed };
  });

const EncryptionRule = z
  .strictObject({
    ServerSideEncryptionByDefault: z
      .discriminatedUnion("SSEAlgorithm", [
        z.strictObject({ SSEAlgorithm: z.literal("AES256") }),
        z.strictObject({ SSEAlgorithm: z.literal("aws:kms"), KMSMasterKeyID: z.string().min(1) }),
      ])
      .optional(),
    BucketKeyEnabled: z.boolean().default(false),
  })
  .transform((rule): Encryption => {
    const byDefault = rule.ServerSideEncryptionByDefault;
    if (byDefault?.SSEAlgorithm !== "aws:kms") return { algorithm: "AES256" };
    return { algorithm: "aws:kms", keyId: byDefault.KMSMasterKeyID, bucketKey: rule.BucketKeyEnabled };
  });

const Tags = z.array(z.strictObject({ Key: z.string(), Value: z.string() }));

/**
 * Access from outside the account, ownership, access logs and tags have no meaning on one machine. They are
 * accepted and have no effect.
 */
export const BucketProperties = z.strictObject({
  BucketName: z.string().optional(),
  BucketEncryption: z
    .strictObject({ ServerSideEncryptionConfiguration: z.tuple([EncryptionRule]) })
    .optional(),
  VersioningConfiguration: z.strictObject({ Status: z.enum(["Enabled", "Suspended"]) }).optional(),
  LifecycleConfiguration: z.strictObject({ Rules: z.array(LifecycleRuleProperties) }).optional(),
  PublicAccessBlockConfiguration: z
    .strictObject({
      BlockPublicAcls: z.boolean().optional(),
      BlockPublicPolicy: z.boolean().optional(),
      IgnorePublicAcls: z.boolean().optional(),
      RestrictPublicBuckets: z.boolean().optional(),
    })
    .optional(),
  OwnershipControls: z
    .strictObject({
      Rules: z.array(
        z.strictObject({
          ObjectOwnership: z.enum(["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]),
        }),
      ),
    })
    .optional(),
  LoggingConfiguration: z
    .strictObject({ DestinationBucketName: z.string().optional(), LogFilePrefix: z.string().optional() })
    .optional(),
  ObjectLockEnabled: z.literal(false).optional(),
  Tags: Tags.optional(),
});

const oneOrMore = z.union([z.string(), z.array(z.string())]);
const Statement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(["Allow", "Deny"]),
  Principal: z.union([z.literal("*"), z.record(z.string(), oneOrMore)]),
  Action: oneOrMore.optional(),
  NotAction: oneOrMore.optional(),
  Resource: oneOrMore.optional(),
  NotResource: oneOrMore.optional(),
  Condition: z
    .record(z.string(), z.record(z.string(), z.union([oneOrMore, z.boolean(), z.number()])))
    .optional(),
});

export const BucketPolicyProperties = z.strictObject({
  Bucket: z.string(),
  PolicyDocument: z
    .strictObject({
      Version: z.string().optional(),
      Id: z.string().optional(),
      Statement: z.union([Statement, z.array(Statement)]),
    })
    .transform(({ Version, Statement }): PolicyDocument => ({ ...(Version ? { Version } : {}), Statement })),
});
