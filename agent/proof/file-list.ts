import { hash, randomBytes } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as z from "zod";
import { createCompressor } from "#shared/format/compression.ts";
import { DamagedObjectError } from "#shared/format/errors.ts";
import { packKey } from "#shared/format/object-keys.ts";
import { openPack, PackBuilder } from "#shared/format/pack.ts";
import type { Repository } from "../repository/repository.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { putNamedByContent } from "../store/put-named-by-content.ts";
import { isPlainPath } from "./beneath.ts";
import { type HashedFile, MOST_FILES } from "./hash-trees.ts";

/** A list that becomes longer is cut: 50,000 files usually take a fifth of it. */
const LIST_BYTES = 16 * 2 ** 20;
/** Of one part as JSON; sealed it stays far below what a blob may have. */
const PART_BYTES = 512 * 1024;
/** Of all parts as JSON. What repeats itself takes almost no room in a pack, and all of it in memory. */
const MOST_JSON_BYTES = 32 * 2 ** 20;
/** Of a part, when it is read. One file with the longest path is far smaller. */
const MOST_PART_BYTES = 2 * PART_BYTES;

/** As `blkid` writes UUIDs of the file systems that are hashed. */
const FileSystemId = z.string().regex(/^[0-9a-f-]{1,64}$/);
/** Bytes as characters would take two bytes for many of them. */
const Path = z.base64().transform((text) => Buffer.from(text, "base64"));
const Inode = z.string().regex(/^\d{1,20}$/);
const Size = z.int().nonnegative();
const Mode = z.int().min(0).max(0o7777);
const Modified = z.string().regex(/^-?\d{1,25}$/);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const Part = z.strictObject({
  fileSystem: FileSystemId,
  files: z.array(z.tuple([Path.refine(isPlainPath), Inode, Size, Mode, Modified, Sha256, z.boolean()])),
});

/** Files of one file system. */
export interface ListedFiles {
  fileSystem: string;
  files: HashedFile[];
}

/** Collects a list of files, and stores it as one pack of a source's repository. */
export class FileListWriter {
  readonly #repository: Repository;
  readonly #builder: PackBuilder;
  #files = 0;
  #bytes = 0;
  #jsonBytes = 0;

  constructor(repository: Repository, startedAt: number) {
    this.#repository = repository;
    this.#builder = new PackBuilder({
      ...{ kind: "list", dataKey: repository.dataKey, salt: randomBytes(16) },
      origin: { captureId: randomBytes(16), startedAt, diskName: "" },
      ...{ buffer: Buffer.alloc(LIST_BYTES), sealing: { scratch: Buffer.alloc(0) } },
    });
  }

  /** The files in it so far, and their bytes. */
  get counts(): { files: number; bytes: number } {
    return { files: this.#files, bytes: this.#bytes };
  }

  /** Files for which there is no room any more are left out. */
  add(fileSystem: string, files: readonly HashedFile[]): void {
    for (const part of partsOf(files)) {
      const json = JSON.stringify({ fileSystem, files: part.map(encoded) });
      const bytes = zstdCompressSync(json);
      if (!this.#builder.hasRoom({ blobs: 1, bytes: bytes.length, placements: 0 })) return;
      if (this.#jsonBytes + json.length > MOST_JSON_BYTES) return;
      this.#jsonBytes += json.length;
      this.#builder.addList(bytes);
      this.#files += part.length;
      this.#bytes += part.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    }
  }

  /** The name of the pack; `undefined` if the list is empty. */
  async store(): Promise<string | undefined> {
    if (this.#builder.isEmpty) return undefined;
    const { store, sourceId } = this.#repository;
    const { bytes } = this.#builder.finish();
    const { sha256 } = await putNamedByContent(store, bytes, (name) => packKey(sourceId, name));
    return sha256;
  }
}

type EncodedFile = z.input<typeof Part>["files"][number];

function encoded(file: HashedFile): EncodedFile {
  const { path, inode, sizeBytes, mode, modified, sha256, mayHaveMoved } = file;
  const name = Buffer.from(path, "latin1").toString("base64");
  return [name, inode, sizeBytes, mode, modified, sha256, mayHaveMoved];
}

function* partsOf(files: readonly HashedFile[]): Iterable<HashedFile[]> {
  let part: HashedFile[] = [];
  let bytes = 0;
  for (const file of files) {
    const more = 2 * file.path.length + 200;
    if (bytes + more > PART_BYTES) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(file);
    bytes += more;
  }
  if (part.length > 0) yield part;
}

/**
 * The parts of a list of files. Everything that it says is checked: its source may be hostile. Throws
 * `DamagedObjectError` or `ObjectNotFoundError`.
 */
export async function readFileList(repository: Repository, list: string): Promise<ListedFiles[]> {
  const key = packKey(repository.sourceId, list);
  const bytes = await boundedObject(repository, key);
  if (hash("sha256", bytes) !== list)
    throw new DamagedObjectError(key, "its content does not match the hash in its name");
  const { kind, index, sealer } = openPack(repository.dataKey, bytes, key);
  if (kind !== "list") throw new DamagedObjectError(key, "it is no list of files");
  const using = { compressor: createCompressor(), output: Buffer.alloc(0) };
  const parts: ListedFiles[] = [];
  let left = { files: MOST_FILES, bytes: MOST_JSON_BYTES };
  for (const [number, { offset, sealedBytes }] of index.blobs.entries()) {
    const sealed = bytes.subarray(offset, offset + sealedBytes);
    const { part, jsonBytes } = partIn(sealer.open(sealed, { number, offset }, key, using).bytes, key);
    left = { files: left.files - part.files.length, bytes: left.bytes - jsonBytes };
    if (left.files < 0 || left.bytes < 0)
      throw new DamagedObjectError(key, "it is longer than a list of files can be");
    parts.push(part);
  }
  return parts;
}

async function boundedObject({ store }: Repository, key: string): Promise<Buffer> {
  for await (const object of store.list(key)) {
    if (object.key !== key) break;
    if (object.sizeBytes > LIST_BYTES)
      throw new DamagedObjectError(key, "it is too long for a list of files");
    return store.get(key);
  }
  throw new ObjectNotFoundError(key);
}

function partIn(compressed: Buffer, object: string): { part: ListedFiles; jsonBytes: number } {
  let read: ReturnType<typeof Part.safeParse>;
  let json: Buffer;
  try {
    json = zstdDecompressSync(compressed, { maxOutputLength: MOST_PART_BYTES });
    read = Part.safeParse(JSON.parse(json.toString("utf8")));
  } catch (cause) {
    throw new DamagedObjectError(object, "a part of it is no list of files", { cause });
  }
  if (!read.success) throw new DamagedObjectError(object, "a part of it says what no list of files may say");
  const { fileSystem, files } = read.data;
  const listed = files.map(([path, inode, sizeBytes, mode, modified, sha256, mayHaveMoved]) => ({
    ...{ path: path.toString("latin1"), inode, sizeBytes, mode, modified, sha256, mayHaveMoved },
  }));
  return { part: { fileSystem, files: listed }, jsonBytes: json.length };
}
