import { hash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMapPack } from "#shared/format/pack.ts";
import { errorFields, type Log } from "#shared/log.ts";
import type { GetOptions, ObjectStore, ObjectSummary, PutOptions } from "./object-store.ts";

export interface KeptMapsOptions {
  folder: string;
  maxBytes: number;
  log: Pick<Log, "warn">;
  now: () => Date;
}

/** What a file takes at least on most file systems. */
const FILE_BYTES = 4096;
/** How much stays when the folder is full, so that not each new pack has to look for old ones. */
const STAYS = 3 / 4;

/**
 * A store that also keeps the map packs that it stores in a folder, so that the next capture reads its
 * parent's map without requests. The packs stay sealed. A kept pack counts only if its bytes have the hash in
 * its name; otherwise, or if there is none, the store is asked. At most about `maxBytes` are kept: those that
 * were not used for longest go first. A folder that cannot be written costs requests, never a capture.
 */
export class KeptMaps implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #options: KeptMapsOptions;
  #bytes: number | undefined;

  constructor(store: ObjectStore, options: KeptMapsOptions) {
    this.#store = store;
    this.#options = options;
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    await this.#store.put(key, bytes, options);
    if (!isMapPack(bytes)) return;
    try {
      await this.#keep(options.sha256, bytes);
    } catch (error) {
      this.#options.log.warn("a part of a disk map is not kept on this machine", errorFields(error));
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    const kept = await this.#kept(key);
    if (!kept) return this.#store.get(key, options);
    const { range, into } = options;
    const part = range ? kept.subarray(range.offset, range.offset + range.bytes) : kept;
    if (!into) return part;
    part.copy(into);
    return into.subarray(0, part.length);
  }

  list(prefix: string): AsyncIterable<ObjectSummary> {
    return this.#store.list(prefix);
  }

  async #kept(key: string): Promise<Buffer | undefined> {
    const name = /\/packs\/([0-9a-f]{64})$/.exec(key)?.[1];
    const path = name && join(this.#options.folder, name);
    const bytes = path && (await readFile(path).catch(() => undefined));
    if (!bytes) return undefined;
    if (hash("sha256", bytes) !== name) {
      await rm(path, { force: true });
      return undefined;
    }
    const now = this.#options.now();
    await utimes(path, now, now).catch(() => undefined);
    return bytes;
  }

  async #keep(name: string, bytes: Uint8Array): Promise<void> {
    const { folder, maxBytes, now } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#bytes ??= (await this.#files()).reduce((sum, file) => sum + file.bytes, 0);
    const path = join(folder, name);
    await writeFile(path, bytes, { mode: 0o600 });
    await utimes(path, now(), now());
    this.#bytes += sizeOnDisk(bytes.length);
    if (this.#bytes > maxBytes) this.#bytes = await this.#makeRoom();
  }

  /** Deletes what was not used for longest, and returns how many bytes stay. */
  async #makeRoom(): Promise<number> {
    let left = 0;
    for (const file of (await this.#files()).sort((a, b) => b.usedMs - a.usedMs)) {
      if (left + file.bytes <= this.#options.maxBytes * STAYS) left += file.bytes;
      else await rm(file.path, { force: true });
    }
    return left;
  }

  async #files(): Promise<{ path: string; bytes: number; usedMs: number }[]> {
    const { folder } = this.#options;
    const files: { path: string; bytes: number; usedMs: number }[] = [];
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const { size, mtimeMs } = await stat(path);
      files.push({ path, bytes: sizeOnDisk(size), usedMs: mtimeMs });
    }
    return files;
  }
}

function sizeOnDisk(bytes: number): number {
  return Math.ceil(bytes / FILE_BYTES) * FILE_BYTES;
}
