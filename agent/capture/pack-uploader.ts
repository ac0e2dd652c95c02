import { packKey } from "#shared/format/object-keys.ts";
import type { Repository } from "../repository/repository.ts";
import { ObjectExistsError, type Pace } from "../store/object-store.ts";

export interface PackUploaderOptions {
  repository: Repository;
  /** How many uploads run at once. */
  concurrency: number;
  pace?: Pace;
  signal: AbortSignal;
}

/** Uploads a few packs at a time. Its callers' pack buffers bound the queue. */
export class PackUploader {
  readonly #options: PackUploaderOptions;
  #running = 0;
  readonly #queue: (() => void)[] = [];
  #bytesStored = 0;
  #packsStored = 0;

  constructor(options: PackUploaderOptions) {
    this.#options = options;
  }

  get bytesStored(): number {
    return this.#bytesStored;
  }
  get packsStored(): number {
    return this.#packsStored;
  }

  /** Resolves once the pack is durable. */
  async upload(name: Uint8Array, bytes: Buffer): Promise<void> {
    if (this.#running >= this.#options.concurrency)
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
    try {
      await this.#put(Buffer.from(name).toString("hex"), bytes);
      this.#bytesStored += bytes.length;
      this.#packsStored += 1;
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  async #put(sha256: string, bytes: Buffer): Promise<void> {
    const { repository, pace, signal } = this.#options;
    signal.throwIfAborted();
    try {
      const key = packKey(repository.sourceId, sha256);
      await repository.store.put(key, bytes, { sha256, signal, ...(pace ? { pace } : {}) });
    } catch (error) {
      // The name is the hash of the content, so what is there is this pack.
      if (!(error instanceof ObjectExistsError)) throw error;
    }
  }
}
