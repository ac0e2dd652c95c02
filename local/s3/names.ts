import { createHash } from "node:crypto";
import path from "node:path";
import type { Clock } from "../core/service.ts";
import { S3Error } from "./s3-error.ts";

const MAX_KEY_BYTES = 1024;
/** File systems allow names of 255 bytes. This leaves room for `@` and the content id. */
const MAX_SEGMENT_CHARS = 180;
/** Longer than any sensible key, and far enough below the 4096 bytes of a path for any data folder. */
const MAX_ESCAPED_CHARS = 1500;

export function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes("..");
}

/** Throws `KeyTooLongError` if the key is longer than 1024 bytes of UTF-8, S3's limit. */
export function assertKey(key: string): void {
  if (key.length === 0) throw new S3Error("InvalidArgument", "The key is empty.");
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error("KeyTooLongError");
  if (!key.isWellFormed()) throw new S3Error("InvalidURI", "The key is not valid Unicode.");
}

/**
 * The path of a key's content below its bucket's folder, without the `@<content id>` that ends the name.
 * Every segment is percent-encoded, `@` included, so a folder (no `@`) never collides with a content file
 * (one `@`), and no key leaves the bucket's folder. A key too long for a file system is stored under `%long`
 * by its SHA-256.
 */
export function escapedKey(key: string): string {
  const segments = key.split("/").map(escapedSegment);
  const escaped = segments.join("/");
  if (escaped.length <= MAX_ESCAPED_CHARS && segments.every((segment) => segment.length <= MAX_SEGMENT_CHARS))
    return escaped;
  return `%long/${createHash("sha256").update(key).digest("hex")}`;
}

function escapedSegment(segment: string): string {
  // Percent-encoding never produces a lone `%` or `%long`, so they are free for these two uses.
  if (segment === "") return "%";
  if (segment === "." || segment === "..") return segment.replaceAll(".", "%2E");
  return encodeURIComponent(segment);
}

/** The content file of a version, or the folder of its parts, relative to the store's folder. */
export function contentPath(bucket: string, key: string, contentId: string): string {
  return path.join("buckets", bucket, `${escapedKey(key)}@${contentId}`);
}

export function partPath(bucket: string, key: string, uploadId: string, part: PartName): string {
  return path.join(
    contentPath(bucket, key, uploadId),
    `${String(part.number).padStart(5, "0")}@${part.contentId}`,
  );
}
export interface PartName {
  number: number;
  contentId: string;
}

/**
 * Makes ids that never repeat in a store. Their parts are the time, the number of the store's start and a
 * counter.
 */
export class IdSource {
  readonly #clock: Clock;
  readonly #start: number;
  #count = 0;

  constructor(clock: Clock, start: number) {
    this.#clock = clock;
    this.#start = start;
  }

  next(): string {
    this.#count += 1;
    const time = new Date(this.#clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
    return `${time}-${this.#start.toString(36)}-${this.#count.toString(36)}`;
  }
}

/**
 * An entity tag that is unique to a content. It is not an MD5 (neither is AWS's for objects under KMS), and
 * its suffix tells clients so.
 */
export function entityTag(contentId: string, parts = 1): string {
  return `${createHash("sha256").update(contentId).digest("hex").slice(0, 32)}-${parts}`;
}
