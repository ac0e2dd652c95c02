import type * as z from "zod";
import { ConcurrentChangeError } from "#shared/errors.ts";
import { againIfChanged } from "./again-if-changed.ts";
import type { Item, ItemKeys, Key, PageQuery, Table, TablePage } from "./table.ts";

export interface Aggregate {
  id: string;
  /** How many times it was written; 0 if it is new. */
  version: number;
}

/** All aggregates of one kind. Each is one item, written whole, and only if it has not changed since. */
export class Aggregates<T extends Aggregate> {
  readonly #table: Table;
  readonly #what: string;
  readonly #schema: z.ZodType<T>;
  readonly #keys: (aggregate: T) => ItemKeys;

  constructor(table: Table, kind: { what: string; schema: z.ZodType<T>; keys: (aggregate: T) => ItemKeys }) {
    this.#table = table;
    this.#what = kind.what;
    this.#schema = kind.schema;
    this.#keys = kind.keys;
  }

  async find(key: Key): Promise<T | undefined> {
    const item = await this.#table.get(key);
    return item && this.parse(item);
  }

  parse(item: Item): T {
    return this.#schema.parse(item);
  }

  /**
   * Writes it and returns it with its new version. Throws `ConcurrentChangeError` if it was written since it
   * was read, or if a new one already exists.
   */
  async save(aggregate: T): Promise<T> {
    const saved = { ...aggregate, version: aggregate.version + 1 };
    const item = { ...saved, ...this.#keys(saved) };
    const done =
      aggregate.version === 0
        ? await this.#table.putNew(item)
        : await this.#table.replace(item, aggregate.version);
    if (!done) throw new ConcurrentChangeError(this.#what, aggregate.id);
    return saved;
  }

  /**
   * Reads, changes and writes it, and starts again if another request wrote it in between, so `change` can
   * run several times. If `change` returns the same object, nothing is written. An error that `change` throws
   * is passed on.
   */
  async modify(key: Key, change: (current: T | undefined) => T): Promise<T> {
    return againIfChanged(async () => {
      const current = await this.find(key);
      const changed = change(current);
      return changed === current ? current : this.save(changed);
    });
  }

  async page(query: PageQuery): Promise<TablePage<T>> {
    const { items, cursor } = await this.#table.page(query);
    return { items: items.map((item) => this.parse(item)), cursor };
  }
}
