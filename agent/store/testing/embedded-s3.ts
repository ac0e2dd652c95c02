import { randomUUID } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "#local/core/clock.ts";
import { SmallCloud } from "#local/gateway/testing/small-cloud.ts";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { openS3 } from "#local/s3/s3.ts";
import type { Faults } from "#local/s3/s3-service.ts";
import type { S3Credentials } from "../sigv4.ts";

/**
 * The embedded cloud's S3 behind its gateway, which checks signatures and policies. Callers may use all of
 * each bucket.
 */
export interface EmbeddedS3 {
  url: string;
  region: string;
  /** A new bucket and credentials that may do anything in it. */
  bucket(): Promise<{ bucket: string; credentials: S3Credentials }>;
  close(): Promise<void>;
}

/** Gives the machine's time, with which requests are signed. */
class MachineClock extends ManualClock {
  override now(): number {
    return Date.now();
  }
}

export async function startEmbeddedS3(faults?: Faults, folder?: string): Promise<EmbeddedS3> {
  const clock = new MachineClock();
  const s3 = await openS3({
    folder: folder ?? (await mkdtemp(join(tmpdir(), "embedded-s3-"))),
    clock,
    authorizer: new PolicyEvaluator(),
    keys: { authorizeKeyUse: () => undefined },
    report: (error) => {
      throw error;
    },
    ...(faults ? { faults } : {}),
  });
  const cloud = await SmallCloud.start({ services: [s3.service], clock });
  return {
    url: cloud.url,
    region: cloud.config({ accessKeyId: "", secretAccessKey: "", sessionToken: "" }).region,
    async bucket() {
      const bucket = `bucket-${randomUUID()}`;
      const resource = { type: "AWS::S3::Bucket", stack: "test", logicalId: "Bucket", generatedName: bucket };
      await s3.provider.provision({ ...resource, properties: { BucketName: bucket } });
      const resources = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
      const arn = await cloud.addRole(bucket, { Effect: "Allow", Action: "s3:*", Resource: resources });
      return { bucket, credentials: cloud.credentials(arn) };
    },
    async close() {
      await cloud[Symbol.asyncDispose]();
      await s3.service.close();
    },
  };
}
