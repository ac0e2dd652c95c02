import type { Readable } from "node:stream";
import type { Clock } from "../core/service.ts";
import type { ByteSpan, ContentStore } from "./content-store.ts";
import type { Metadata } from "./metadata.ts";
import type { Attributes, Bucket, Checksum, ObjectVersion, WriteConditions } from "./model.ts";
import { contentPath, entityTag, type IdSource, partPath } from "./names.ts";
import { S3Error } from "./s3-error.ts";

export const NULL_VERSION = "null";

/** What the engine's parts share. */
export interface StoreContext {
  metadata: Metadata;
  content: ContentStore;
  clock: Clock;
  ids: IdSource;
}

export interface PutInput {
  bucket: Bucket;
  key: string;
  bytes: AsyncIterable<Buffer>;
  /** Checks the bytes after the last one has been read. The returned checksum is stored with the object. */
  finish(): Checksum | undefined;
  attributes: Attributes;
  conditions: WriteConditions;
}

/** A range of bytes, both ends included. */
export interface Range {
  start: number;
  end: number;
}

export interface Found {
  version: ObjectVersion;
  /** All bytes if left out. */
  range?: Range | "none";
}

export interface Committed {
  version: ObjectVersion;
  replaced: ObjectVersion[];
}

export interface RemoveResult {
  versionId?: string;
  deleteMarker: boolean;
}

/** Objects and their versions. */
export class ObjectStore {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /**
   * The version asked for, or the newest. Throws `NoSuchKey`, `NoSuchVersion`, or `MethodNotAllowed` for a
   * delete marker asked for by id.
   */
  find(bucket: string, key: string, versionId?: string): ObjectVersion {
    const { metadata } = this.#context;
    if (versionId === undefined) {
      const latest = metadata.latest(bucket, key);
      if (latest && !latest.deleteMarker) return latest;
      throw new S3Error("NoSuchKey", undefined, { headers: latest ? markerHeaders(latest) : {} });
    }
    const version = metadata.version(bucket, key, versionId);
    if (!version) throw new S3Error("NoSuchVersion");
    if (version.deleteMarker)
      throw new S3Error("MethodNotAllowed", undefined, {
        headers: { ...markerHeaders(version), allow: "DELETE" },
      });
    return version;
  }

  /**
   * Streams the content that `find` returns, or a range of it. Calls `find` again if the object is replaced
   * meanwhile.
   */
  async read<T extends Found>(find: () => T): Promise<T & { body: Readable }> {
    const { content, metadata } = this.#context;
    for (;;) {
      const found = find();
      const { version, range = { start: 0, end: version.size - 1 } } = found;
      try {
        return { ...found, body: await content.read(range === "none" ? [] : spansOf(version, range)) };
      } catch (error) {
        const now = metadata.version(version.bucket, version.key, version.versionId);
        if (now?.sequence === version.sequence) throw error;
      }
    }
  }

  /**
   * Stores an object durably. Throws `PreconditionFailed` (or `NoSuchKey` for `etag`) if at the end the
   * conditions do not hold.
   */
  async put({ bucket, key, bytes, finish, attributes, conditions }: PutInput): Promise<ObjectVersion> {
    const { content, ids, clock } = this.#context;
    // Check here too, so that an upload that must fail ends before its body is written.
    this.assertWritable(bucket.name, key, conditions);
    const contentId = ids.next();
    const incoming = await content.receive(contentId, bytes);
    let checksum: Checksum | undefined;
    try {
      checksum = finish();
    } catch (error) {
      await content.discard(incoming);
      throw error;
    }
    const file = contentPath(bucket.name, key, contentId);
    await content.place(incoming, file);
    const kept = { ...attributes, ...(checksum ? { checksum } : {}) };
    const version = { size: incoming.size, etag: entityTag(contentId), modifiedAt: clock.now(), contentId };
    let committed: Committed;
    try {
      committed = this.commit(bucket, { key, attributes: kept, ...version }, conditions);
    } catch (error) {
      await content.remove([file]);
      throw error;
    }
    await this.forget(committed.replaced);
    return committed.version;
  }

  assertWritable(bucket: string, key: string, conditions: WriteConditions): void {
    const latest = this.#context.metadata.latest(bucket, key);
    const current = latest?.deleteMarker ? undefined : latest;
    if (conditions.requiresNew && current) throw new S3Error("PreconditionFailed");
    if (conditions.etag !== undefined) {
      if (!current) throw new S3Error("NoSuchKey");
      if (current.etag !== conditions.etag) throw new S3Error("PreconditionFailed");
    }
  }

  /**
   * Makes content that is already placed the newest version of its key. `alongside` runs in the same
   * transaction. Pass what it replaced to `forget`.
   */
  commit(
    bucket: Bucket,
    content: Pick<ObjectVersion, "key" | "size" | "etag" | "modifiedAt" | "contentId" | "attributes">,
    conditions: WriteConditions,
    alongside: () => void = () => undefined,
  ): Committed {
    const { metadata } = this.#context;
    const replaced: ObjectVersion[] = [];
    const version = metadata.transaction(() => {
      this.assertWritable(bucket.name, content.key, conditions);
      alongside();
      const versionId = bucket.versioning === "Enabled" ? content.contentId : NULL_VERSION;
      if (versionId === NULL_VERSION) replaced.push(...this.#dropNullVersion(bucket.name, content.key));
      return metadata.addVersion({ ...content, bucket: bucket.name, versionId, deleteMarker: false });
    });
    return { version, replaced };
  }

  /**
   * Removes one version permanently, or, without an id, removes the object as the bucket's versioning
   * requires. Idempotent.
   */
  async remove(bucket: Bucket, key: string, versionId?: string): Promise<RemoveResult> {
    const { metadata } = this.#context;
    const dropped: ObjectVersion[] = [];
    const result = metadata.transaction((): RemoveResult => {
      if (versionId !== undefined || bucket.versioning === "Off") {
        const version = metadata.version(bucket.name, key, versionId ?? NULL_VERSION);
        if (version) {
          metadata.dropVersion(version);
          dropped.push(version);
        }
        return { deleteMarker: version?.deleteMarker ?? false, ...(versionId ? { versionId } : {}) };
      }
      return this.#addMarker(bucket, key, dropped);
    });
    await this.forget(dropped);
    return result;
  }

  #addMarker(bucket: Bucket, key: string, dropped: ObjectVersion[]): RemoveResult {
    const { metadata, ids, clock } = this.#context;
    const contentId = ids.next();
    const versionId = bucket.versioning === "Enabled" ? contentId : NULL_VERSION;
    if (versionId === NULL_VERSION) dropped.push(...this.#dropNullVersion(bucket.name, key));
    metadata.addVersion({
      ...{ bucket: bucket.name, key, versionId, contentId, deleteMarker: true, size: 0, etag: "" },
      modifiedAt: clock.now(),
      attributes: { headers: {}, encryption: bucket.encryption },
    });
    return { versionId, deleteMarker: true };
  }

  #dropNullVersion(bucket: string, key: string): ObjectVersion[] {
    const version = this.#context.metadata.version(bucket, key, NULL_VERSION);
    if (!version) return [];
    this.#context.metadata.dropVersion(version);
    return [version];
  }

  /**
   * Waits until the commit is durable, then deletes the forgotten content. The other order could leave a
   * version without content.
   */
  async forget(versions: readonly ObjectVersion[]): Promise<void> {
    await this.#context.metadata.durable();
    const contents = versions.filter(({ deleteMarker }) => !deleteMarker);
    await this.#context.content.remove(
      contents.map(({ bucket, key, contentId }) => contentPath(bucket, key, contentId)),
    );
  }
}

/** The files of a version's content, relative to the store. */
export function filesOf({ bucket, key, contentId, attributes, deleteMarker }: ObjectVersion): string[] {
  if (deleteMarker) return [];
  const { parts } = attributes;
  return parts
    ? parts.map((part) => partPath(bucket, key, contentId, part))
    : [contentPath(bucket, key, contentId)];
}

function spansOf(version: ObjectVersion, { start, end }: Range): ByteSpan[] {
  const files = filesOf(version);
  const sizes = version.attributes.parts?.map(({ size }) => size) ?? [version.size];
  const spans: ByteSpan[] = [];
  let offset = 0;
  for (const [index, path] of files.entries()) {
    const size = sizes[index] ?? 0;
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, size - 1);
    if (from <= to) spans.push({ path, start: from, end: to });
    offset += size;
  }
  return spans;
}

function markerHeaders({ versionId }: ObjectVersion): Record<string, string> {
  return { "x-amz-delete-marker": "true", "x-amz-version-id": versionId };
}
