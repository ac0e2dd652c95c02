import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { GroupSync } from "./group-sync.ts";
import type { Attributes, Bucket, ObjectVersion, Upload, UploadedPart } from "./model.ts";

const SCHEMA_VERSION = 1;
/** Keys are blobs: SQLite then orders them by their UTF-8 bytes, as S3 lists them. */
const SCHEMA = `
  CREATE TABLE store (only INTEGER PRIMARY KEY CHECK (only = 1), starts INTEGER NOT NULL, clean INTEGER NOT NULL) STRICT;
  INSERT INTO store VALUES (1, 0, 1);
  CREATE TABLE bucket (name TEXT PRIMARY KEY, settings TEXT NOT NULL) STRICT;
  CREATE TABLE version (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL, key BLOB NOT NULL, version_id TEXT NOT NULL,
    latest INTEGER NOT NULL, marker INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified_at INTEGER NOT NULL, noncurrent_since INTEGER, content_id TEXT NOT NULL, attributes TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX version_latest ON version (bucket, key) WHERE latest = 1;
  CREATE UNIQUE INDEX version_name ON version (bucket, key, version_id);
  CREATE INDEX version_order ON version (bucket, key, sequence DESC);
  CREATE TABLE upload (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, started_at INTEGER NOT NULL,
    algorithm TEXT, attributes TEXT NOT NULL
  ) STRICT;
  CREATE TABLE part (
    upload TEXT NOT NULL, number INTEGER NOT NULL, content_id TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified_at INTEGER NOT NULL, checksum TEXT, PRIMARY KEY (upload, number)
  ) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

type Value = string | number | null | Uint8Array;
type Row = Record<string, Value>;

/** A place in the order of keys and, within a key, of its versions from the newest on. */
export interface Position {
  key: Buffer;
  belowSequence: number;
}

/** The metadata of all objects, in one SQLite file. Commits are quick; `durable` waits for the disk. */
export class Metadata {
  readonly #database: DatabaseSync;
  readonly #log: FileHandle;
  readonly #statements = new Map<string, StatementSync>();
  readonly #flush: GroupSync;
  #committed = 0;
  #flushed = 0;
  #failure: unknown;
  /** How many times this store has been opened. */
  readonly starts: number;
  /** Whether the process before this one closed the store. */
  readonly wasClean: boolean;

  private constructor(database: DatabaseSync, log: FileHandle, start: { starts: number; wasClean: boolean }) {
    this.#database = database;
    this.#log = log;
    this.starts = start.starts;
    this.wasClean = start.wasClean;
    this.#flush = new GroupSync(async () => {
      const target = this.#committed;
      await this.#log.datasync();
      this.#flushed = Math.max(this.#flushed, target);
    });
  }

  /** Throws when another process has the store open, or a newer version of it wrote the file. */
  static async open(folder: string): Promise<Metadata> {
    const file = path.join(folder, "metadata.sqlite");
    const database = new DatabaseSync(file);
    try {
      // With NORMAL, SQLite does not flush each commit. `durable` flushes off the main thread, once for many
      // commits.
      database.exec(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
      );
      const start = begin(database, file);
      const log = await open(`${file}-wal`, "r+");
      await log.datasync();
      return new Metadata(database, log, start);
    } catch (error) {
      database.close();
      throw new Error(`cannot open ${file}; is another embedded cloud using it?`, { cause: error });
    }
  }

  /** Marks the store as cleanly closed, so that the next start need not look for garbage. */
  async close(): Promise<void> {
    this.#database.exec("UPDATE store SET clean = 1");
    await this.#log.close();
    this.#database.close();
  }

  /** Writes everything as it is now to a new file, which another store can open. */
  snapshotInto(file: string): void {
    this.#database.prepare("VACUUM INTO ?").run(file);
  }

  /**
   * Runs all of `change` or none of it. `change` must be synchronous, so that no other write comes between a
   * condition and its write.
   */
  transaction<T>(change: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = change();
      this.#database.exec("COMMIT");
      this.#committed += 1;
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /**
   * Returns when every commit so far survives a power loss. After one failed flush it always throws, because
   * the state of the disk is no longer known.
   */
  async durable(): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#flushed >= this.#committed) return;
    try {
      await this.#flush.run();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  buckets(): Bucket[] {
    return this.#all("SELECT settings FROM bucket").map((row) => JSON.parse(text(row.settings)) as Bucket);
  }

  saveBucket(bucket: Bucket): void {
    this.#run("INSERT OR REPLACE INTO bucket VALUES (?, ?)", bucket.name, JSON.stringify(bucket));
  }

  latest(bucket: string, key: string): ObjectVersion | undefined {
    const sql = "SELECT * FROM version WHERE bucket = ? AND key = ? AND latest = 1";
    return this.#all(sql, bucket, Buffer.from(key)).map(toVersion)[0];
  }

  version(bucket: string, key: string, versionId: string): ObjectVersion | undefined {
    const sql = "SELECT * FROM version WHERE bucket = ? AND key = ? AND version_id = ?";
    return this.#all(sql, bucket, Buffer.from(key), versionId).map(toVersion)[0];
  }

  /** Makes this the newest version of its key. */
  addVersion(version: Omit<ObjectVersion, "sequence" | "latest">): ObjectVersion {
    const { bucket, versionId, deleteMarker, size, etag, modifiedAt, contentId, attributes } = version;
    const key = Buffer.from(version.key);
    this.#run(
      "UPDATE version SET latest = 0, noncurrent_since = ? WHERE bucket = ? AND key = ? AND latest = 1",
      modifiedAt,
      bucket,
      key,
    );
    const { lastInsertRowid } = this.#run(
      `INSERT INTO version (bucket, key, version_id, latest, marker, size, etag, modified_at, content_id, attributes)
       VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`,
      ...[bucket, key, versionId, deleteMarker ? 1 : 0, size, etag, modifiedAt, contentId],
      JSON.stringify(attributes),
    );
    return { ...version, sequence: Number(lastInsertRowid), latest: true };
  }

  /** Forgets a version. If it was the newest, the previous one becomes the newest. */
  dropVersion({ bucket, key, sequence, latest }: ObjectVersion): void {
    this.#run("DELETE FROM version WHERE sequence = ?", sequence);
    if (!latest) return;
    this.#run(
      `UPDATE version SET latest = 1, noncurrent_since = NULL WHERE sequence =
         (SELECT sequence FROM version WHERE bucket = ? AND key = ? ORDER BY sequence DESC LIMIT 1)`,
      bucket,
      Buffer.from(key),
    );
  }

  /** Newest versions that are not delete markers, by key, behind the position. */
  current(bucket: string, from: Position): Iterable<ObjectVersion> {
    const sql = `SELECT * FROM version WHERE bucket = ? AND latest = 1 AND marker = 0
                 AND key >= ? AND (key > ? OR sequence < ?) ORDER BY key`;
    return this.#each(sql, bucket, from);
  }

  /** All versions by key, newest first, behind the position. */
  versions(bucket: string, from: Position): Iterable<ObjectVersion> {
    const sql = `SELECT * FROM version WHERE bucket = ?
                 AND key >= ? AND (key > ? OR sequence < ?) ORDER BY key, sequence DESC`;
    return this.#each(sql, bucket, from);
  }

  *#each(sql: string, bucket: string, { key, belowSequence }: Position): Iterable<ObjectVersion> {
    // Not a cached statement, because a statement that is being read must not be restarted.
    const rows = this.#database.prepare(sql).iterate(bucket, key, key, belowSequence);
    for (const row of rows) yield toVersion(row as Row);
  }

  /** When the version stopped being the newest. `undefined` if it still is. */
  noncurrentSince(sequence: number): number | undefined {
    const [row] = this.#all("SELECT noncurrent_since AS since FROM version WHERE sequence = ?", sequence);
    return typeof row?.since === "number" ? row.since : undefined;
  }

  upload(id: string): Upload | undefined {
    return this.#all("SELECT * FROM upload WHERE id = ?", id).map(toUpload)[0];
  }

  uploads(bucket: string): Upload[] {
    return this.#all("SELECT * FROM upload WHERE bucket = ? ORDER BY key, id", bucket).map(toUpload);
  }

  addUpload({ id, bucket, key, startedAt, algorithm, attributes }: Upload): void {
    const values = [id, bucket, Buffer.from(key), startedAt, algorithm ?? null, JSON.stringify(attributes)];
    this.#run("INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?)", ...values);
  }

  /** Forgets an upload and its parts. */
  dropUpload(id: string): void {
    this.#run("DELETE FROM part WHERE upload = ?", id);
    this.#run("DELETE FROM upload WHERE id = ?", id);
  }

  parts(uploadId: string): UploadedPart[] {
    return this.#all("SELECT * FROM part WHERE upload = ? ORDER BY number", uploadId).map(toPart);
  }

  part(uploadId: string, number: number): UploadedPart | undefined {
    return this.#all("SELECT * FROM part WHERE upload = ? AND number = ?", uploadId, number).map(toPart)[0];
  }

  /** Adds the part, or replaces the one with the same number. */
  savePart(uploadId: string, part: UploadedPart): void {
    const checksum = part.checksum ? JSON.stringify(part.checksum) : null;
    const values = [uploadId, part.number, part.contentId, part.size, part.etag, part.modifiedAt, checksum];
    this.#run("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?, ?)", ...values);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #all(sql: string, ...values: Value[]): Row[] {
    // The schema is STRICT and has no integer beyond 2^53, so these are the only types that come out.
    return this.#statement(sql).all(...values) as Row[];
  }

  #run(sql: string, ...values: Value[]): { lastInsertRowid: number | bigint } {
    return this.#statement(sql).run(...values);
  }
}

/** Counts this start and marks the store as open. */
function begin(database: DatabaseSync, file: string): { starts: number; wasClean: boolean } {
  const found = database.prepare("PRAGMA user_version").get()?.user_version;
  if (found === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
  else if (found !== SCHEMA_VERSION) throw new Error(`${file} has version ${found}, not ${SCHEMA_VERSION}`);
  const before = database.prepare("SELECT starts, clean FROM store").get();
  database.exec("UPDATE store SET starts = starts + 1, clean = 0");
  return { starts: Number(before?.starts) + 1, wasClean: before?.clean === 1 };
}

function toVersion(row: Row): ObjectVersion {
  return {
    sequence: Number(row.sequence),
    bucket: text(row.bucket),
    key: keyText(row.key),
    versionId: text(row.version_id),
    latest: row.latest === 1,
    deleteMarker: row.marker === 1,
    size: Number(row.size),
    etag: text(row.etag),
    modifiedAt: Number(row.modified_at),
    contentId: text(row.content_id),
    attributes: JSON.parse(text(row.attributes)) as Attributes,
  };
}

function toUpload(row: Row): Upload {
  return {
    id: text(row.id),
    bucket: text(row.bucket),
    key: keyText(row.key),
    startedAt: Number(row.started_at),
    attributes: JSON.parse(text(row.attributes)) as Attributes,
    ...(row.algorithm === null ? {} : { algorithm: text(row.algorithm) as NonNullable<Upload["algorithm"]> }),
  };
}

function toPart(row: Row): UploadedPart {
  return {
    number: Number(row.number),
    contentId: text(row.content_id),
    size: Number(row.size),
    etag: text(row.etag),
    modifiedAt: Number(row.modified_at),
    ...(row.checksum === null ? {} : { checksum: JSON.parse(text(row.checksum)) }),
  };
}

function text(value: Value | undefined): string {
  if (typeof value !== "string") throw new TypeError("a text was expected in the metadata");
  return value;
}

function keyText(value: Value | undefined): string {
  if (!(value instanceof Uint8Array)) throw new TypeError("a key was expected in the metadata");
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}
