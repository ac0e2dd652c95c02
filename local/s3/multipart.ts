import { compositeChecksum } from "./checksum.ts";
import type {
  Attributes,
  Bucket,
  Checksum,
  ChecksumAlgorithm,
  ObjectVersion,
  Upload,
  UploadedPart,
  WriteConditions,
} from "./model.ts";
import { contentPath, entityTag, partPath } from "./names.ts";
import type { ObjectStore, StoreContext } from "./objects.ts";
import { S3Error } from "./s3-error.ts";

const MIN_PART_BYTES = 5 * 1024 ** 2;
const MAX_OBJECT_BYTES = 5 * 1024 ** 4;
export const MAX_PARTS = 10_000;

export interface UploadAddress {
  bucket: Bucket;
  key: string;
  uploadId: string;
}

/** A part as the request that completes an upload names it. */
export interface NamedPart {
  number: number;
  etag: string;
  checksums: Partial<Record<ChecksumAlgorithm, string>>;
}

/**
 * Uploads in parts. The part files are already in the object's final content folder, whose name ends with the
 * upload's id. So completing an upload is only a commit and moves no bytes.
 */
export class MultipartStore {
  readonly #context: StoreContext;
  readonly #objects: ObjectStore;

  constructor(context: StoreContext, objects: ObjectStore) {
    this.#context = context;
    this.#objects = objects;
  }

  async create(
    bucket: Bucket,
    key: string,
    attributes: Attributes,
    algorithm?: ChecksumAlgorithm,
  ): Promise<Upload> {
    const { metadata, ids, clock } = this.#context;
    const base = { id: ids.next(), bucket: bucket.name, key, startedAt: clock.now(), attributes };
    const upload = { ...base, ...(algorithm ? { algorithm } : {}) };
    metadata.transaction(() => metadata.addUpload(upload));
    await metadata.durable();
    return upload;
  }

  /** Throws `NoSuchUpload`, also if the id belongs to another key. */
  find({ bucket, key, uploadId }: UploadAddress): Upload {
    const upload = this.#context.metadata.upload(uploadId);
    if (!upload || upload.bucket !== bucket.name || upload.key !== key) throw new S3Error("NoSuchUpload");
    return upload;
  }

  /** Parts with numbers above `after`, in order. */
  parts(address: UploadAddress, after = 0): UploadedPart[] {
    const { id } = this.find(address);
    return this.#context.metadata.parts(id).filter(({ number }) => number > after);
  }

  /** Stores a part durably. Replaces an earlier part with the same number. */
  async putPart(
    address: UploadAddress,
    number: number,
    payload: { bytes: AsyncIterable<Buffer>; finish(): Checksum | undefined },
  ): Promise<UploadedPart> {
    const { content, metadata, ids, clock } = this.#context;
    const { id, bucket, key } = this.find(address);
    const contentId = ids.next();
    const incoming = await content.receive(contentId, payload.bytes);
    let checksum: Checksum | undefined;
    try {
      checksum = payload.finish();
    } catch (error) {
      await content.discard(incoming);
      throw error;
    }
    const file = partPath(bucket, key, id, { number, contentId });
    await content.place(incoming, file);
    const base = {
      number,
      contentId,
      size: incoming.size,
      etag: entityTag(contentId),
      modifiedAt: clock.now(),
    };
    const part = { ...base, ...(checksum ? { checksum } : {}) };
    let replaced: UploadedPart | undefined;
    try {
      metadata.transaction(() => {
        this.find(address);
        replaced = metadata.part(id, number);
        metadata.savePart(id, part);
      });
    } catch (error) {
      await content.remove([file]);
      throw error;
    }
    await metadata.durable();
    if (replaced) await content.remove([partPath(bucket, key, id, replaced)]);
    return part;
  }

  /** Turns the named parts into an object. A repeated call returns the same object. */
  async complete(
    address: UploadAddress,
    named: readonly NamedPart[],
    conditions: WriteConditions,
    expectedSize?: number,
  ): Promise<ObjectVersion> {
    const { metadata, content } = this.#context;
    const { bucket, key, uploadId } = address;
    const done = this.#completed(address);
    if (done) return done;
    const upload = this.find(address);
    const parts = chooseParts(upload, metadata.parts(uploadId), named);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    if (expectedSize !== undefined && expectedSize !== size)
      throw new S3Error("InvalidRequest", "The parts do not add up to x-amz-mp-object-size.");
    if (size > MAX_OBJECT_BYTES) throw new S3Error("EntityTooLarge");
    const checksums = parts.flatMap(({ checksum }) => (checksum ? [checksum] : []));
    const attributes: Attributes = {
      ...upload.attributes,
      parts: parts.map(({ number, contentId, size }) => ({ number, contentId, size })),
      ...(upload.algorithm ? { checksum: compositeChecksum(upload.algorithm, checksums) } : {}),
    };
    let unused: UploadedPart[] = [];
    const { version, replaced } = this.#objects.commit(
      bucket,
      // S3 dates an object in parts by the start of its upload.
      {
        key,
        size,
        etag: entityTag(uploadId, parts.length),
        modifiedAt: upload.startedAt,
        contentId: uploadId,
        attributes,
      },
      conditions,
      () => {
        const kept = new Set(parts.map(({ contentId }) => contentId));
        const all = metadata.parts(uploadId);
        // Another request may have replaced or completed these parts since they were chosen.
        this.find(address);
        if (all.filter(({ contentId }) => kept.has(contentId)).length !== kept.size)
          throw new S3Error("InvalidPart");
        unused = all.filter(({ contentId }) => !kept.has(contentId));
        metadata.dropUpload(uploadId);
      },
    );
    await this.#objects.forget(replaced);
    await content.remove(unused.map((part) => partPath(bucket.name, key, uploadId, part)));
    return version;
  }

  /** Drops an upload with its parts. Throws `NoSuchUpload`. */
  async abort(address: UploadAddress): Promise<void> {
    const { metadata, content } = this.#context;
    const { id, bucket, key } = this.find(address);
    metadata.transaction(() => metadata.dropUpload(id));
    await metadata.durable();
    await content.remove([contentPath(bucket, key, id)]);
  }

  /** The object that this upload became. A client repeats the call if it did not get the answer. */
  #completed({ bucket, key, uploadId }: UploadAddress): ObjectVersion | undefined {
    const { metadata } = this.#context;
    const versions = [metadata.latest(bucket.name, key), metadata.version(bucket.name, key, uploadId)];
    return versions.find((version) => version?.contentId === uploadId);
  }
}

/**
 * The stored parts that the request names. Throws in S3's order: the list first, then each part, then the
 * sizes.
 */
function chooseParts(
  upload: Upload,
  stored: readonly UploadedPart[],
  named: readonly NamedPart[],
): UploadedPart[] {
  if (named.some(({ number }, index) => index > 0 && number <= (named[index - 1]?.number ?? 0)))
    throw new S3Error("InvalidPartOrder");
  const byNumber = new Map(stored.map((part) => [part.number, part]));
  const chosen = named.map((name) => {
    const part = byNumber.get(name.number);
    if (!part || part.etag !== name.etag) throw new S3Error("InvalidPart");
    requireChecksum(upload, part, name);
    return part;
  });
  if (chosen.slice(0, -1).some(({ size }) => size < MIN_PART_BYTES)) throw new S3Error("EntityTooSmall");
  return chosen;
}

function requireChecksum({ algorithm }: Upload, { checksum }: UploadedPart, { checksums }: NamedPart): void {
  if (algorithm && checksums[algorithm] === undefined) {
    const wanted = `The upload was created using a ${algorithm} checksum.`;
    throw new S3Error(
      "InvalidRequest",
      `${wanted} The complete request must include the checksum for each part.`,
    );
  }
  if (checksum && (checksums[checksum.algorithm] ?? checksum.value) !== checksum.value)
    throw new S3Error("InvalidPart");
}
