/**
 * The single table: consistent reads of single items, conditional writes of whole items, and queries.
 * docs/data-model.md describes the items.
 */

export interface Key {
  pk: string;
  sk: string;
}

export interface ItemKeys extends Key {
  /** The keys in the index `gsi1`. If absent, the item is not in the index. */
  gsi1pk?: string;
  gsi1sk?: string;
  /** Seconds since 1970 after which DynamoDB may delete the item. */
  expiresAt?: number;
}

export type Item = Record<string, unknown>;

export interface PageQuery {
  /** The key of a partition of the table or of its index. */
  partition: string;
  index?: boolean;
  limit: number;
  cursor?: string | undefined;
  /** Only items with this attribute value. */
  only?: { attribute: string; value: string } | undefined;
}

export interface TablePage<T> {
  items: T[];
  cursor: string | null;
}

/** Values that stay, however late another one is: those whose `field` is one of these. */
export interface Keep {
  field: string;
  values: readonly string[];
}

export interface Table {
  get(key: Key): Promise<Item | undefined>;

  /** Writes the item unless one with its key exists. Resolves with whether it was written. */
  putNew<T extends ItemKeys>(item: T): Promise<boolean>;

  /** Replaces the item if it still has this version. Resolves with whether it was replaced. */
  replace<T extends ItemKeys>(item: T, version: number): Promise<boolean>;

  /** Sets an attribute of an item that exists and lacks it. Resolves with whether it was set. */
  setOnce(key: Key, attribute: string, value: string): Promise<boolean>;

  /** Sets an attribute of an item that exists, unless its value is as late or later, or is one to keep. */
  setLatest<T extends { at: string }>(key: Key, attribute: string, value: T, keep?: Keep): Promise<void>;

  /**
   * Adds one to the item's `count` atomically. The first time, the item also gets the attributes of `first`;
   * every time, it gets those of `latest`.
   */
  count(key: Key, attributes: { first: Item; latest: Item }): Promise<void>;

  /** Every item of a partition of the table, by sort key. */
  all(pk: string): Promise<Item[]>;

  /** Every item of a partition of the index, by its sort key. Eventually consistent. */
  allInIndex(gsi1pk: string): Promise<Item[]>;

  /** One page of a partition, last sort key first. Throws `InvalidInputError` for a foreign cursor. */
  page(query: PageQuery): Promise<TablePage<Item>>;
}

/** The keys of an item, for a cursor. */
export function keysOf(
  item: Item,
  index: boolean,
): { pk: string; sk: string; gsi1pk?: string; gsi1sk?: string } {
  const key = (name: string) => String(item[name]);
  const own = { pk: key("pk"), sk: key("sk") };
  return index ? { ...own, gsi1pk: key("gsi1pk"), gsi1sk: key("gsi1sk") } : own;
}
