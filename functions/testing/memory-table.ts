import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import {
  type Item,
  type ItemKeys,
  type Keep,
  type Key,
  keysOf,
  type PageQuery,
  type Table,
  type TablePage,
} from "../store/table.ts";

/**
 * The single table in this process, for tests that change thousands of items. `table.test.ts` runs the same
 * cases on this and on DynamoDB's. It hands out its own items, which are frozen.
 */
export class MemoryTable implements Table {
  readonly #items = new Map<string, Map<string, Item>>();
  /** Items by their partition in the index. */
  readonly #index = new Map<unknown, Set<Item>>();

  /** Has the same items from now on. */
  copyFrom(other: MemoryTable): void {
    for (const partition of other.#items.values())
      for (const item of partition.values()) this.#put(item as ItemKeys & Item);
  }

  async get({ pk, sk }: Key): Promise<Item | undefined> {
    return this.#find({ pk, sk });
  }

  async putNew<T extends ItemKeys>(item: T): Promise<boolean> {
    if (this.#find(item)) return false;
    this.#put(item);
    return true;
  }

  async replace<T extends ItemKeys>(item: T, version: number): Promise<boolean> {
    if (this.#find(item)?.version !== version) return false;
    this.#put(item);
    return true;
  }

  async setOnce(key: Key, attribute: string, value: string): Promise<boolean> {
    const item = this.#find(key);
    if (!item || attribute in item) return false;
    this.#put({ ...item, ...key, [attribute]: value });
    return true;
  }

  async setLatest<T extends { at: string }>(
    key: Key,
    attribute: string,
    value: T,
    keep?: Keep,
  ): Promise<void> {
    const item = this.#find(key);
    const before = item?.[attribute] as Record<string, string> | undefined;
    if (!item || (before && !(before.at !== undefined && before.at < value.at))) return;
    if (before && keep?.values.includes(before[keep.field] ?? "")) return;
    this.#put({ ...item, ...key, [attribute]: value });
  }

  async count(key: Key, { first, latest }: { first: Item; latest: Item }): Promise<void> {
    const item = this.#find(key) ?? {};
    const counted: ItemKeys = { ...first, ...item, ...latest, ...key };
    this.#put(Object.assign(counted, { count: Number(item.count ?? 0) + 1 }));
  }

  async all(pk: string): Promise<Item[]> {
    return this.#partition(pk, false);
  }

  async allInIndex(gsi1pk: string): Promise<Item[]> {
    return this.#partition(gsi1pk, true);
  }

  async page({ partition, index = false, limit, cursor, only }: PageQuery): Promise<TablePage<Item>> {
    const from = cursor ? positionOf(decodeCursor(cursor, { index, key: partition }), index) : undefined;
    const left = this.#partition(partition, index)
      .reverse()
      .filter((item) => from === undefined || positionOf(item, index) < from)
      .filter((item) => !only || item[only.attribute] === only.value);
    const items = left.slice(0, limit);
    const last = left.length > limit ? items.at(-1) : undefined;
    return { items, cursor: last ? encodeCursor(keysOf(last, index)) : null };
  }

  #find({ pk, sk }: Key): Item | undefined {
    return this.#items.get(pk)?.get(sk);
  }

  #put(item: ItemKeys): void {
    const { pk, sk, gsi1pk } = item;
    const before = this.#items.get(pk)?.get(sk);
    // As DynamoDB's client does, this drops what is undefined.
    const stored: Item = JSON.parse(JSON.stringify(item), (_, value) => Object.freeze(value));
    if (before?.gsi1pk !== undefined) this.#index.get(before.gsi1pk)?.delete(before);
    madeIn(this.#items, pk, () => new Map<string, Item>()).set(sk, stored);
    if (gsi1pk !== undefined) madeIn(this.#index, gsi1pk, () => new Set<Item>()).add(stored);
  }

  /** By sort key. */
  #partition(key: string, index: boolean): Item[] {
    const found = index ? (this.#index.get(key) ?? []) : (this.#items.get(key)?.values() ?? []);
    return [...found]
      .map((item) => ({ item, at: positionOf(item, index) }))
      .sort((a, b) => (a.at < b.at ? -1 : 1))
      .map(({ item }) => item);
  }
}

/** Where an item stands in its partition. */
function positionOf({ pk, sk, gsi1sk }: Item, index: boolean): string {
  return index ? [gsi1sk, pk, sk].join("\0") : String(sk);
}

function madeIn<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
