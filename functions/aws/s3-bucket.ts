import { HeadObjectCommand, type S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import type { Bucket, ObjectFacts } from "../ports.ts";

/** An S3 bucket. */
export class S3Bucket implements Bucket {
  readonly #client: S3Client;
  readonly #name: string;

  constructor(client: S3Client, name: string) {
    this.#client = client;
    this.#name = name;
  }

  async describe(key: string): Promise<ObjectFacts | undefined> {
    try {
      const { ContentLength, ChecksumSHA256 } = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#name, Key: key, ChecksumMode: "ENABLED" }),
      );
      return {
        sizeBytes: ContentLength ?? 0,
        sha256: ChecksumSHA256 && Buffer.from(ChecksumSHA256, "base64").toString("hex"),
      };
    } catch (error) {
      // For a missing object, S3 answers "access denied" to a caller that may not list the bucket.
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      if (status === 404 || status === 403) return undefined;
      throw error;
    }
  }
}
