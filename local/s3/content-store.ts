import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { GroupSync } from "./group-sync.ts";

/** Large enough to make the cost of system calls negligible, small enough for many transfers in memory. */
const WRITE_BATCH_BYTES = 1024 * 1024;
const WRITE_BATCH_BUFFERS = 256;
const READ_BYTES = 512 * 1024;

export interface IncomingFile {
  path: string;
  size: number;
  handle: FileHandle;
}

/** Bytes of a file, both ends included, as in a Range header. */
export interface ByteSpan {
  path: string;
  start: number;
  end: number;
}

/**
 * The contents of objects as plain files below one folder. A file that no metadata names is garbage. A file
 * becomes visible only with the commit after `place`, and is removed only after the commit that forgets it.
 */
export class ContentStore {
  readonly #root: string;
  /** Folders whose own entries are known to be on disk. */
  readonly #durableFolders = new Set<string>();
  readonly #folderSyncs = new Map<string, GroupSync>();

  /** What to remove when the backup has ended. */
  #held: string[] | undefined;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Deletes files that an earlier process was still receiving. */
  static async open(root: string): Promise<ContentStore> {
    const store = new ContentStore(root);
    await rm(path.join(root, "incoming"), { recursive: true, force: true });
    await mkdir(path.join(root, "incoming"), { recursive: true });
    await mkdir(path.join(root, "buckets"), { recursive: true });
    await syncFolder(root);
    await syncFolder(path.dirname(root));
    return store;
  }

  /**
   * Writes the bytes to a temporary file, at most two batches ahead of the disk. Leaves nothing behind when
   * `bytes` fails.
   */
  async receive(id: string, bytes: AsyncIterable<Buffer>): Promise<IncomingFile> {
    const file = path.join(this.#root, "incoming", id);
    const handle = await open(file, "wx");
    try {
      return { path: file, handle, size: await writeAll(handle, bytes) };
    } catch (error) {
      await this.discard({ path: file, handle });
      throw error;
    }
  }

  async discard({ path: file, handle }: Pick<IncomingFile, "path" | "handle">): Promise<void> {
    await handle.close();
    await rm(file, { force: true });
  }

  /**
   * Renames the file to `target` (relative to the store). Resolves once its bytes and name survive a power
   * loss.
   */
  async place(incoming: IncomingFile, target: string): Promise<void> {
    const file = path.join(this.#root, target);
    const folder = path.dirname(file);
    try {
      await this.#ensureFolder(folder);
      await rename(incoming.path, file);
      // The order of these two does not matter: nothing names the file before both are done.
      await Promise.all([incoming.handle.datasync(), this.#syncFolder(folder)]);
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    } finally {
      await incoming.handle.close();
      await rm(incoming.path, { force: true });
    }
  }

  /**
   * The bytes of the spans, in order. The first file is opened before this returns, so it may be deleted
   * while it is read.
   */
  async read(spans: readonly ByteSpan[]): Promise<Readable> {
    const [first, ...rest] = spans;
    if (!first) return Readable.from([]);
    const opened = await this.#openSpan(first);
    if (rest.length === 0) return opened;
    const openSpan = (span: ByteSpan) => this.#openSpan(span);
    return Readable.from(
      (async function* () {
        yield* opened;
        for (const span of rest) yield* await openSpan(span);
      })(),
      { objectMode: false },
    );
  }

  async #openSpan({ path: file, start, end }: ByteSpan): Promise<Readable> {
    const handle = await open(path.join(this.#root, file), "r");
    return handle.createReadStream({ start, end, highWaterMark: READ_BYTES });
  }

  /**
   * Until the result is disposed of, no file is removed, because a backup copies files that the metadata
   * named when it began. Only one hold at a time.
   */
  holdRemovals(): AsyncDisposable {
    const held: string[] = [];
    this.#held = held;
    return {
      [Symbol.asyncDispose]: () => {
        this.#held = undefined;
        return this.remove(held);
      },
    };
  }

  /** Removes files, or folders of parts. Call it only once the commit that forgets them is durable. */
  async remove(targets: readonly string[]): Promise<void> {
    if (this.#held) this.#held.push(...targets);
    else
      for (const target of targets) await rm(path.join(this.#root, target), { recursive: true, force: true });
  }

  /**
   * Removes every content file that is not in `known`, and every empty folder. Returns the files of `known`
   * that are missing. Call it only before the store accepts requests.
   */
  async reconcile(known: ReadonlySet<string>): Promise<string[]> {
    const missing = new Set(known);
    const visit = async (folder: string): Promise<boolean> => {
      let left = 0;
      for (const entry of await readdir(path.join(this.#root, folder), { withFileTypes: true })) {
        const child = path.join(folder, entry.name);
        if (entry.isDirectory()) {
          if (await visit(child)) left += 1;
        } else if (known.has(child) || !entry.name.includes("@")) {
          missing.delete(child);
          left += 1;
        } else {
          await rm(path.join(this.#root, child));
        }
      }
      if (left === 0 && folder !== "buckets") await rmdir(path.join(this.#root, folder));
      return left > 0;
    };
    await visit("buckets");
    return [...missing];
  }

  async #ensureFolder(folder: string): Promise<void> {
    if (folder === this.#root || this.#durableFolders.has(folder)) return;
    const parent = path.dirname(folder);
    await this.#ensureFolder(parent);
    await mkdir(folder, { recursive: true });
    await this.#syncFolder(parent);
    this.#durableFolders.add(folder);
  }

  async #syncFolder(folder: string): Promise<void> {
    let group = this.#folderSyncs.get(folder);
    if (!group) {
      group = new GroupSync(() => syncFolder(folder));
      this.#folderSyncs.set(folder, group);
    }
    await group.run();
  }
}

async function writeAll(handle: FileHandle, bytes: AsyncIterable<Buffer>): Promise<number> {
  let position = 0;
  let batch: Buffer[] = [];
  let batchBytes = 0;
  let writing = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    const [buffers, at] = [batch, position];
    position += batchBytes;
    batch = [];
    batchBytes = 0;
    writing = writeBuffers(handle, buffers, at);
    // Awaited before the next batch and at the end; until then a failure must not count as unhandled.
    writing.catch(() => undefined);
  };
  try {
    for await (const piece of bytes) {
      batch.push(piece);
      batchBytes += piece.length;
      if (batchBytes >= WRITE_BATCH_BYTES || batch.length >= WRITE_BATCH_BUFFERS) await flush();
    }
    await flush();
    await writing;
  } finally {
    // The caller closes the handle: no write may still be under way.
    await Promise.allSettled([writing]);
  }
  return position;
}

async function writeBuffers(handle: FileHandle, buffers: Buffer[], position: number): Promise<void> {
  const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  if (total === 0) return;
  const { bytesWritten } = await handle.writev(buffers, position);
  if (bytesWritten === total) return;
  // A short write: the disk is nearly full. The next write reports that.
  const rest = Buffer.concat(buffers, total).subarray(bytesWritten);
  await writeBuffers(handle, [rest], position + bytesWritten);
}
