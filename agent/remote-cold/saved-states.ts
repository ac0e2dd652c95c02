import { rm } from "node:fs/promises";
import { join } from "node:path";
import { BootImageReference } from "#shared/protocol/boot-image.ts";
import { BootReceipt } from "#shared/protocol/boot-receipt.ts";
import { SavedBootState } from "../boot-loaders/saved-state.ts";
import { DataFile } from "../identity/identity.ts";
import { bootStateKey } from "../repository/repository.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { putNamedByContent } from "../store/put-named-by-content.ts";

/**
 * Boot states as they were before a conversion touched them: on the machine's disk, and in the bucket below
 * the source's own prefix.
 */
export class SavedStates {
  readonly #dataDir: string;
  readonly #store: ObjectStore;
  readonly #sourceId: string;

  constructor(dataDir: string, store: ObjectStore, sourceId: string) {
    this.#dataDir = dataDir;
    this.#store = store;
    this.#sourceId = sourceId;
  }

  /**
   * Durable in both places when it returns. The machine keeps the last one; the bucket keeps each under a
   * name of its own, because nothing there can be overwritten. /
   */
  async put(conversionId: string, saved: SavedBootState): Promise<{ key: string; sha256: string }> {
    await this.#file(conversionId).write(saved);
    return putNamedByContent(this.#store, Buffer.from(JSON.stringify(saved)), (sha256) =>
      bootStateKey(this.#sourceId, conversionId, sha256),
    );
  }

  /** Nothing if this conversion never armed this machine, or has been released. */
  get(conversionId: string): Promise<SavedBootState | undefined> {
    return this.#file(conversionId).read();
  }

  /** The receipt of a conversion, once it is signed: whoever asks again gets the same. */
  putReceipt(conversionId: string, receipt: BootReceipt): Promise<void> {
    return this.#receipt(conversionId).write(receipt);
  }

  receiptOf(conversionId: string): Promise<BootReceipt | undefined> {
    return this.#receipt(conversionId).read();
  }

  /** Which boot image a conversion has staged. */
  remember(conversionId: string, image: BootImageReference): Promise<void> {
    return this.#image(conversionId).write(image);
  }

  imageOf(conversionId: string): Promise<BootImageReference | undefined> {
    return this.#image(conversionId).read();
  }

  /** Forgets the state here; the bucket keeps it. */
  async forgetState(conversionId: string): Promise<void> {
    await rm(join(this.#dataDir, FOLDER, `${conversionId}.json`), { force: true });
  }

  /** Forgets how a conversion is undone; its receipt stays. */
  async forget(conversionId: string): Promise<void> {
    await this.forgetState(conversionId);
    await rm(join(this.#dataDir, FOLDER, `${conversionId}.image.json`), { force: true });
  }

  #image(conversionId: string): DataFile<BootImageReference> {
    return new DataFile(join(this.#dataDir, FOLDER), `${conversionId}.image.json`, BootImageReference);
  }

  #receipt(conversionId: string): DataFile<BootReceipt> {
    return new DataFile(join(this.#dataDir, FOLDER), `${conversionId}.receipt.json`, BootReceipt);
  }

  #file(conversionId: string): DataFile<SavedBootState> {
    return new DataFile(join(this.#dataDir, FOLDER), `${conversionId}.json`, SavedBootState);
  }
}
const FOLDER = "boot-states";
