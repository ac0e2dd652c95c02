import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { RepositoryObjects, StoredObject } from "../ports.ts";

/** The repositories in an S3 bucket. */
export class S3Repository implements RepositoryObjects {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  /** From the `Date` of an answer: the clock that also dates objects. */
  async now(): Promise<number> {
    const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: "sources/", MaxKeys: 1 });
    let date: string | undefined;
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { headers = {} } = result.response as { headers?: Record<string, string> };
        date = headers.date;
        return result;
      },
      { step: "deserialize", priority: "low" },
    );
    await this.#client.send(command);
    const now = Date.parse(date ?? "");
    if (Number.isNaN(now)) throw new Error("S3 answered without a date");
    return now;
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: prefix });
    for await (const { Contents = [] } of pages) {
      for (const { Key = "", Size = 0, LastModified } of Contents) {
        if (!LastModified) throw new Error(`S3 lists ${Key} without its time`);
        yield { key: Key, sizeBytes: Size, writtenAt: LastModified.getTime() };
      }
    }
  }

  async get(key: string, range?: { offset: number; bytes: number }): Promise<Buffer | undefined> {
    if (range?.bytes === 0) return Buffer.alloc(0);
    const Range = range && `bytes=${range.offset}-${range.offset + range.bytes - 1}`;
    try {
      const { Body } = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: key, ...(Range ? { Range } : {}) }),
      );
      return Body && Buffer.from(await Body.transformToByteArray());
    } catch (error) {
      if (error instanceof NoSuchKey || (error instanceof Error && error.name === "InvalidRange"))
        return undefined;
      throw error;
    }
  }

  async putNew(key: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#client.send(
        new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: bytes, IfNoneMatch: "*" }),
      );
    } catch (error) {
      if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 412) return;
      throw error;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const Objects = keys.map((Key) => ({ Key }));
    const { Errors = [] } = await this.#client.send(
      new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }),
    );
    const [first] = Errors;
    if (first) throw new Error(`S3 deleted all but ${Errors.length} objects: ${first.Key}: ${first.Code}`);
  }
}
