import { PutObjectCommand, type S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { prunedKey } from "#shared/format/object-keys.ts";
import type { PruneMarks } from "../ports.ts";

/** Marks as empty objects, which S3 creates only once. */
export class S3PruneMarks implements PruneMarks {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  async mark(sourceId: string, pointId: string): Promise<void> {
    try {
      await this.#client.send(
        new PutObjectCommand({
          Bucket: this.#bucket,
          Key: prunedKey(sourceId, pointId),
          Body: new Uint8Array(),
          IfNoneMatch: "*",
        }),
      );
    } catch (error) {
      if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 412) return;
      throw error;
    }
  }
}
