import type { Metadata } from "./metadata.ts";
import type { Bucket } from "./model.ts";
import { S3Error } from "./s3-error.ts";

/** The buckets that the templates declare. They are few, so they are also kept in memory. */
export class BucketRegistry {
  readonly #metadata: Metadata;
  readonly #buckets: Map<string, Bucket>;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
    this.#buckets = new Map(metadata.buckets().map((bucket) => [bucket.name, bucket]));
  }

  all(): Bucket[] {
    return [...this.#buckets.values()];
  }

  find(name: string): Bucket | undefined {
    return this.#buckets.get(name);
  }

  /** Throws `NoSuchBucket`. */
  require(name: string): Bucket {
    const bucket = this.#buckets.get(name);
    if (!bucket) throw new S3Error("NoSuchBucket");
    return bucket;
  }

  /** Adds or changes a bucket, durably. */
  async save(bucket: Bucket): Promise<void> {
    this.#metadata.transaction(() => this.#metadata.saveBucket(bucket));
    this.#buckets.set(bucket.name, bucket);
    await this.#metadata.durable();
  }
}
