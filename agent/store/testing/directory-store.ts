import { hash, randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type GetOptions,
  ObjectExistsError,
  ObjectNotFoundError,
  type ObjectStore,
  type ObjectSummary,
  type PutOptions,
  StoreRefusedError,
} from "../object-store.ts";

/** Objects as files in a local folder: a repository on a mounted disk. */
export class DirectoryStore implements ObjectStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(key: string, bytes: Uint8Array, { sha256, pace }: PutOptions): Promise<void> {
    await pace?.(bytes.length);
    if (hash("sha256", bytes) !== sha256)
      throw new StoreRefusedError("BadDigest", `${key}: the hash differs`);
    const path = this.#path(key);
    await mkdir(dirname(path), { recursive: true });
    const temporary = join(dirname(path), `.${randomUUID()}.part`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(bytes);
        await file.datasync();
      } finally {
        await file.close();
      }
      // A link appears whole or not at all, and fails if the name is taken.
      await link(temporary, path);
    } catch (error) {
      throw isCode(error, "EEXIST") ? new ObjectExistsError(key) : error;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async get(key: string, { range, into }: GetOptions = {}): Promise<Buffer> {
    const file = await open(this.#path(key), "r").catch((error: unknown) => {
      throw isCode(error, "ENOENT") ? new ObjectNotFoundError(key) : error;
    });
    try {
      const { size } = await file.stat();
      const offset = Math.min(range?.offset ?? 0, size);
      const bytes = Math.min(range?.bytes ?? size, size - offset);
      const output = into ?? Buffer.allocUnsafe(bytes);
      let done = 0;
      while (done < bytes) {
        const { bytesRead } = await file.read(output, done, bytes - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return output.subarray(0, done);
    } finally {
      await file.close();
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    const entries = await readdir(this.#root, { recursive: true, withFileTypes: true });
    const keys = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".part"))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#root.length + 1))
      .filter((key) => key.startsWith(prefix))
      .sort();
    for (const key of keys) yield { key, sizeBytes: (await stat(this.#path(key))).size };
  }

  #path(key: string): string {
    if (key.split("/").some((part) => part === "" || part.startsWith(".")))
      throw new RangeError(`${key} is not a key`);
    return join(this.#root, key);
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown }).code === code;
}
