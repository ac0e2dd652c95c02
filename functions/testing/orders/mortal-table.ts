import type { Item, ItemKeys, Keep, Key } from "../../store/table.ts";
import { MemoryTable } from "../memory-table.ts";

/** The process that was to write was killed before. */
export class KilledError extends Error {
  override readonly name = "KilledError";
}

/** A table of a control plane that can be killed between any two writes. */
export class MortalTable extends MemoryTable {
  #writesLeft = Number.POSITIVE_INFINITY;
  /** How often it died. */
  deaths = 0;
  /** Called when it dies. */
  onDeath: () => void = () => {};

  /** After this number of writes the control plane is dead: nothing is written until it is revived. */
  dieAfter(writes: number): void {
    this.#writesLeft = writes;
  }

  get isDead(): boolean {
    return this.#writesLeft < 0;
  }

  revive(): void {
    this.#writesLeft = Number.POSITIVE_INFINITY;
  }

  override async putNew<T extends ItemKeys>(item: T): Promise<boolean> {
    this.#look();
    return super.putNew(item);
  }

  override async replace<T extends ItemKeys>(item: T, version: number): Promise<boolean> {
    this.#look();
    return super.replace(item, version);
  }

  override async setOnce(key: Key, attribute: string, value: string): Promise<boolean> {
    this.#look();
    return super.setOnce(key, attribute, value);
  }

  override async setLatest<T extends { at: string }>(
    key: Key,
    attribute: string,
    value: T,
    keep?: Keep,
  ): Promise<void> {
    this.#look();
    return super.setLatest(key, attribute, value, keep);
  }

  override async count(key: Key, attributes: { first: Item; latest: Item }): Promise<void> {
    this.#look();
    return super.count(key, attributes);
  }

  #look(): void {
    if (this.#writesLeft-- > 0) return;
    if (this.#writesLeft === -1) {
      this.deaths++;
      this.onDeath();
    }
    throw new KilledError("killed");
  }
}
