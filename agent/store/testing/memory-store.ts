import { hash } from "node:crypto";
import {
  type GetOptions,
  ObjectExistsError,
  ObjectNotFoundError,
  type ObjectStore,
  type ObjectSummary,
  type PutOptions,
  StoreRefusedError,
} from "../object-store.ts";

/** Objects in memory, for tests. Stricter than S3: it checks every hash. */
export class MemoryStore implements ObjectStore {
  /** For tests to look at and to damage. */
  readonly objects = new Map<string, Buffer>();

  async put(key: string, bytes: Uint8Array, { sha256, pace }: PutOptions): Promise<void> {
    await pace?.(bytes.length);
    if (hash("sha256", bytes) !== sha256)
      throw new StoreRefusedError("BadDigest", `${key}: the hash differs`);
    if (this.objects.has(key)) throw new ObjectExistsError(key);
    this.objects.set(key, Buffer.from(bytes));
  }

  async get(key: string, { range, into }: GetOptions = {}): Promise<Buffer> {
    const bytes = this.objects.get(key);
    if (!bytes) throw new ObjectNotFoundError(key);
    const part = range ? bytes.subarray(range.offset, range.offset + range.bytes) : bytes;
    if (!into) return Buffer.from(part);
    part.copy(into);
    return into.subarray(0, part.length);
  }

  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    for (const key of [...this.objects.keys()].filter((each) => each.startsWith(prefix)).sort()) {
      const bytes = this.objects.get(key);
      if (bytes) yield { key, sizeBytes: bytes.length };
    }
  }
}
