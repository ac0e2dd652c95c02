import { ConditionalCheckFailedException, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import {
  type Item,
  type ItemKeys,
  type Keep,
  type Key,
  keysOf,
  type PageQuery,
  type Table,
  type TablePage,
} from "./table.ts";

interface Assignment {
  value: unknown;
  condition: string;
  names?: Record<string, string>;
  values?: Record<string, unknown>;
}

/** The most items of a filtered list that one DynamoDB request examines. */
const FILTER_BATCH = 200;

/** In DynamoDB. */
export class DynamoTable implements Table {
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

  putNew<T extends ItemKeys>(item: T): Promise<boolean> {
    return this.#put(item, { ConditionExpression: "attribute_not_exists(pk)" });
  }

  replace<T extends ItemKeys>(item: T, version: number): Promise<boolean> {
    return this.#put(item, {
      ConditionExpression: "version = :version",
      ExpressionAttributeValues: { ":version": version },
    });
  }

  async setOnce(key: Key, attribute: string, value: string): Promise<boolean> {
    return this.#set(key, attribute, { value, condition: "attribute_not_exists(#attribute)" });
  }

  async setLatest<T extends { at: string }>(
    key: Key,
    attribute: string,
    value: T,
    { field, values: kept }: Keep = { field: "at", values: [] },
  ): Promise<void> {
    const names: Record<string, string> = { "#at": "at" };
    const values: Record<string, unknown> = { ":at": value.at };
    const isKept = kept.map((one, index) => {
      names["#field"] = field;
      values[`:kept${index}`] = one;
      return ` AND #attribute.#field <> :kept${index}`;
    });
    const condition = `(attribute_not_exists(#attribute) OR (#attribute.#at < :at${isKept.join("")}))`;
    await this.#set(key, attribute, { value, condition, names, values });
  }

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

  async all(pk: string): Promise<Item[]> {
    return this.#everything({
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: { ":pk": pk },
      ConsistentRead: true,
    });
  }

  async allInIndex(gsi1pk: string): Promise<Item[]> {
    return this.#everything({
      IndexName: "gsi1",
      KeyConditionExpression: "gsi1pk = :pk",
      ExpressionAttributeValues: { ":pk": gsi1pk },
    });
  }

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
