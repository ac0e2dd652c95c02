/**
 * The most recently used tables, at most `limit`; a table that is dropped goes to `evict` first. Bounds
 * memory for disks of any size.
 */
export class TableCache<T> {
  readonly #limit: number;
  readonly #evict: (index: number, table: T) => Promise<void>;
  readonly #tables = new Map<number, T>();

  constructor(limit: number, evict: (index: number, table: T) => Promise<void>) {
    this.#limit = limit;
    this.#evict = evict;
  }

  get(index: number): T | undefined {
    const table = this.#tables.get(index);
    if (table !== undefined) {
      // A map keeps the order of insertion: the last used moves to the end.
      this.#tables.delete(index);
      this.#tables.set(index, table);
    }
    return table;
  }

  async put(index: number, table: T): Promise<void> {
    this.#tables.set(index, table);
    if (this.#tables.size <= this.#limit) return;
    for (const [oldest, evicted] of this.#tables) {
      this.#tables.delete(oldest);
      return this.#evict(oldest, evicted);
    }
  }

  async evictAll(): Promise<void> {
    for (const [index, table] of this.#tables) await this.#evict(index, table);
    this.#tables.clear();
  }
}
