import * as z from "zod";
import { bootStateKey } from "#shared/format/object-keys.ts";
import { BootImageReference } from "#shared/protocol/boot-image.ts";
import { BootReceipt } from "#shared/protocol/boot-receipt.ts";
import { BootId } from "#shared/protocol/machine.ts";
import { ArmedState } from "../boot-loaders/armed-state.ts";
import { SavedBootState } from "../boot-loaders/saved-state.ts";
import { AgentRecords } from "../commands/agent-records.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { putNamedByContent } from "../store/put-named-by-content.ts";

const ArmedRecord = z.strictObject({ bootId: BootId, state: ArmedState });
export type ArmedRecord = z.infer<typeof ArmedRecord>;

export interface SavedStatesOptions {
  dataDir: string;
  store: ObjectStore;
  sourceId: string;
  /** See `recordKeyOf`. */
  recordKey: Uint8Array;
}

/**
 * What this agent did to a machine's boot state for each conversion, and the state before: on the machine's
 * disk, and in the bucket below the source's own prefix. It decides what is written to the boot loader's
 * files, so the agent reads back only what it wrote itself. Each read throws `RecordNotOursError` for
 * anything else.
 */
export class SavedStates {
  readonly #options: SavedStatesOptions;
  readonly #states: AgentRecords<SavedBootState>;
  readonly #images: AgentRecords<BootImageReference>;
  readonly #armed: AgentRecords<ArmedRecord>;
  readonly #receipts: AgentRecords<BootReceipt>;

  constructor(options: SavedStatesOptions) {
    this.#options = options;
    const { dataDir, recordKey: key } = options;
    const records = <T>(suffix: string, schema: z.ZodType<T>) =>
      new AgentRecords<T>({ dataDir, folder: "boot-states", suffix, schema, key });
    this.#states = records(".json", SavedBootState);
    this.#images = records(".image.json", BootImageReference);
    this.#armed = records(".armed.json", ArmedRecord);
    this.#receipts = records(".receipt.json", BootReceipt);
  }

  /**
   * Durable in both places when it resolves. The machine keeps the last one; the bucket keeps each under a
   * name of its own, because nothing there can be overwritten.
   */
  async put(conversionId: string, saved: SavedBootState): Promise<{ key: string; sha256: string }> {
    const { store, sourceId } = this.#options;
    await this.#states.write(conversionId, saved);
    return putNamedByContent(store, Buffer.from(JSON.stringify(saved)), (sha256) =>
      bootStateKey(sourceId, conversionId, sha256),
    );
  }

  /** Returns `undefined` if this conversion never armed this machine, or has been released. */
  get(conversionId: string): Promise<SavedBootState | undefined> {
    return this.#states.read(conversionId);
  }

  /** Keeps the conversion's signed receipt; later requests get the same one. */
  putReceipt(conversionId: string, receipt: BootReceipt): Promise<void> {
    return this.#receipts.write(conversionId, receipt);
  }

  receiptOf(conversionId: string): Promise<BootReceipt | undefined> {
    return this.#receipts.read(conversionId);
  }

  /** Records which boot image a conversion has staged. */
  remember(conversionId: string, image: BootImageReference): Promise<void> {
    return this.#images.write(conversionId, image);
  }

  imageOf(conversionId: string): Promise<BootImageReference | undefined> {
    return this.#images.read(conversionId);
  }

  /** Records that the conversion has armed the machine in this boot. */
  markArmed(conversionId: string, armed: ArmedRecord): Promise<void> {
    return this.#armed.write(conversionId, armed);
  }

  /** How the conversion armed the machine; `undefined` once that is taken back. */
  async armedBy(conversionId: string): Promise<(ArmedRecord & { saved: SavedBootState }) | undefined> {
    const saved = await this.#states.read(conversionId);
    const armed = saved && (await this.#armed.read(conversionId));
    return armed && { ...armed, saved };
  }

  /** The machine is no longer armed by this conversion: it is not restarted for it. */
  forgetArmed(conversionId: string): Promise<void> {
    return this.#armed.forget(conversionId);
  }

  /** Deletes the state here; the bucket keeps it. */
  async forgetState(conversionId: string): Promise<void> {
    await this.#armed.forget(conversionId);
    await this.#states.forget(conversionId);
  }

  /** Deletes what undoing a conversion needs; its receipt stays. */
  async forget(conversionId: string): Promise<void> {
    await this.forgetState(conversionId);
    await this.#images.forget(conversionId);
  }
}
