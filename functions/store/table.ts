/**
 * The single table: consistent reads of single items, conditional writes of whole items, and queries.
 * docs/data-model.md describes the items.
 */
import { ConditionalCheckFailedException, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { decodeCursor, encodeCursor } from "./cursor.ts";

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

interface Assignment {
  value: unknown;
  condition: string;
  names?: Record<string, string>;
  values?: Record<string, unknown>;
}

/** The most items of a filtered list that one DynamoDB request examines. */
const FILTER_BATCH = 200;

export class Table {
  readonly #client: DynamoDBDocumentClient;
  readonly #name: string;

  constructor(client: DynamoDBClient, name: string) {
    this.#client = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
    this.#name = name;
  }

  async get({ pk, sk }: Key): Promise<Item | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#name, Key: { pk, sk }, ConsistentRead: true }),
    );
    return Item;
  }

  /** Writes the item unless one with its key exists. Resolves with whether it was written. */
  putNew<T extends ItemKeys>(item: T): Promise<boolean> {
    return this.#put(item, { ConditionExpression: "attribute_not_exists(pk)" });
  }

  /** Replaces the item if it still has this version. Resolves with whether it was replaced. */
  replace<T extends ItemKeys>(item: T, version: number): Promise<boolean> {
    return this.#put(item, {
      ConditionExpression: "version = :version",
      ExpressionAttributeValues: { ":version": version },
    });
  }

  /** Sets an attribute of an item that exists and lacks it. Resolves with whether it was set. */
  async setOnce(key: Key, attribute: string, value: string): Promise<boolean> {
    return this.#set(key, attribute, { value, condition: "attribute_not_exists(#attribute)" });
  }

  /** Sets an attribute of an item that exists, unless its value is as late or later. */
  async setLatest<T extends { at: string }>(key: Key, attribute: string, value: T): Promise<void> {
    const condition = "(attribute_not_exists(#attribute) OR #attribute.#at < :at)";
    const more = { names: { "#at": "at" }, values: { ":at": value.at } };
    await this.#set(key, attribute, { value, condition, ...more });
  }

  /**
   * Adds one to the item's `count` atomically. The first time, the item also gets the attributes of `first`;
   * every time, it gets those of `latest`.
   */
  async count({ pk, sk }: Key, { first, latest }: { first: Item; latest: Item }): Promise<void> {
    const names: Record<string, string> = { "#count": "count" };
    const values: Record<string, unknown> = { ":one": 1 };
    const set = (attributes: Item, prefix: string, assigned: (name: string, value: string) => string) =>
      Object.entries(attributes).map(([attribute, value], at) => {
        const [name, placeholder] = [`#${prefix}${at}`, `:${prefix}${at}`];
        names[name] = attribute;
        values[placeholder] = value;
        return `${name} = ${assigned(name, placeholder)}`;
      });
    const assignments = [
      ...set(first, "first", (name, value) => `if_not_exists(${name}, ${value})`),
      ...set(latest, "latest", (_, value) => value),
    ];
    await this.#client.send(
      new UpdateCommand({
        TableName: this.#name,
        Key: { pk, sk },
        UpdateExpression: `SET ${assignments.join(", ")} ADD #count :one`,
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: values,
      }),
    );
  }

  /** Every item of a partition of the table, by sort key. */
  async all(pk: string): Promise<Item[]> {
    return this.#everything({
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: { ":pk": pk },
      ConsistentRead: true,
    });
  }

  /** Every item of a partition of the index, by its sort key. Eventually consistent. */
  async allInIndex(gsi1pk: string): Promise<Item[]> {
    return this.#everything({
      IndexName: "gsi1",
      KeyConditionExpression: "gsi1pk = :pk",
      ExpressionAttributeValues: { ":pk": gsi1pk },
    });
  }

  /** One page of a partition, last sort key first. Throws `InvalidInputError` for a foreign cursor. */
  async page({ partition, index = false, limit, cursor, only }: PageQuery): Promise<TablePage<Item>> {
    const found: Item[] = [];
    let from: Item | undefined = cursor ? decodeCursor(cursor, { index, key: partition }) : undefined;
    do {
      // One more than asked for, to know whether another page follows.
      const { Items = [], LastEvaluatedKey } = await this.#client.send(
        new QueryCommand({
          TableName: this.#name,
          ...(index ? { IndexName: "gsi1" } : {}),
          KeyConditionExpression: index ? "gsi1pk = :partition" : "pk = :partition",
          ExpressionAttributeValues: { ":partition": partition, ...(only ? { ":only": only.value } : {}) },
          ...(only
            ? { FilterExpression: "#only = :only", ExpressionAttributeNames: { "#only": only.attribute } }
            : {}),
          ScanIndexForward: false,
          Limit: only ? FILTER_BATCH : limit + 1 - found.length,
          ...(from ? { ExclusiveStartKey: from } : {}),
        }),
      );
      found.push(...Items);
      from = LastEvaluatedKey;
    } while (from && found.length <= limit);
    const items = found.slice(0, limit);
    const last = found.length > limit ? items.at(-1) : undefined;
    return { items, cursor: last ? encodeCursor(keysOf(last, index)) : null };
  }

  async #everything(query: {
    IndexName?: string;
    KeyConditionExpression: string;
    ExpressionAttributeValues: Record<string, string>;
    ConsistentRead?: boolean;
  }): Promise<Item[]> {
    const found: Item[] = [];
    let from: Item | undefined;
    do {
      const { Items = [], LastEvaluatedKey } = await this.#client.send(
        new QueryCommand({ TableName: this.#name, ...query, ...(from ? { ExclusiveStartKey: from } : {}) }),
      );
      found.push(...Items);
      from = LastEvaluatedKey;
    } while (from);
    return found;
  }

  async #set(
    { pk, sk }: Key,
    attribute: string,
    { value, condition, names = {}, values = {} }: Assignment,
  ): Promise<boolean> {
    try {
      await this.#client.send(
        new UpdateCommand({
          TableName: this.#name,
          Key: { pk, sk },
          UpdateExpression: "SET #attribute = :value",
          ConditionExpression: `attribute_exists(pk) AND ${condition}`,
          ExpressionAttributeNames: { "#attribute": attribute, ...names },
          ExpressionAttributeValues: { ":value": value, ...values },
        }),
      );
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }

  async #put(
    item: object,
    condition: { ConditionExpression: string; ExpressionAttributeValues?: Record<string, number> },
  ): Promise<boolean> {
    try {
      await this.#client.send(new PutCommand({ TableName: this.#name, Item: { ...item }, ...condition }));
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }
}

function keysOf(item: Item, index: boolean): { pk: string; sk: string; gsi1pk?: string; gsi1sk?: string } {
  const key = (name: string) => String(item[name]);
  const own = { pk: key("pk"), sk: key("sk") };
  return index ? { ...own, gsi1pk: key("gsi1pk"), gsi1sk: key("gsi1sk") } : own;
}
