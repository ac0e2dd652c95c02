import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SmallCloud } from "../gateway/testing/small-cloud.ts";

let cloud: SmallCloud;
let client: DynamoDBClient;
const TableName = "things";

const tableProperties = {
  TableName,
  BillingMode: "PAY_PER_REQUEST",
  AttributeDefinitions: ["pk", "sk", "kind"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
  KeySchema: [
    { AttributeName: "pk", KeyType: "HASH" },
    { AttributeName: "sk", KeyType: "RANGE" },
  ],
  GlobalSecondaryIndexes: [
    {
      IndexName: "by-kind",
      KeySchema: [{ AttributeName: "kind", KeyType: "HASH" }],
      Projection: { ProjectionType: "ALL" },
    },
  ],
  TimeToLiveSpecification: { AttributeName: "expiresAt", Enabled: true },
};

beforeAll(async () => {
  cloud = await SmallCloud.start();
  await cloud.provision("AWS::DynamoDB::Table", "Things", tableProperties);
  await cloud.provision("AWS::DynamoDB::GlobalTable", "Others", {
    TableName: "others",
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
    Replicas: [{ Region: "local-1", DeletionProtectionEnabled: true }],
  });
  client = new DynamoDBClient(
    await cloud.clientFor("writer", { Effect: "Allow", Action: "dynamodb:*", Resource: "*" }),
  );
});
afterAll(() => cloud[Symbol.asyncDispose]());

const item = (pk: string, more: Record<string, { S: string } | { N: string }> = {}) => ({
  pk: { S: pk },
  sk: { S: "v1" },
  ...more,
});
const put = (pk: string, more?: Parameters<typeof item>[1]) =>
  client.send(new PutItemCommand({ TableName, Item: item(pk, more) }));
const get = async (pk: string) => (await client.send(new GetItemCommand({ TableName, Key: item(pk) }))).Item;
const byKind = async (kind: string, from = client) => {
  const { Items = [] } = await from.send(
    new QueryCommand({
      TableName,
      IndexName: "by-kind",
      KeyConditionExpression: "kind = :kind",
      ExpressionAttributeValues: { ":kind": { S: kind } },
    }),
  );
  return Items.map(({ pk }) => pk?.S).sort();
};

test("items are written, read, updated under a condition, and found by an index", async () => {
  await put("a", { kind: { S: "server" }, version: { N: "1" } });
  const update = (expected: string) =>
    client.send(
      new UpdateItemCommand({
        TableName,
        Key: item("a"),
        UpdateExpression: "SET version = version + :one",
        ConditionExpression: "version = :expected",
        ExpressionAttributeValues: { ":one": { N: "1" }, ":expected": { N: expected } },
      }),
    );
  await update("1");
  await expect(update("1")).rejects.toBeInstanceOf(ConditionalCheckFailedException);
  expect(await get("a")).toMatchObject({ version: { N: "2" } });
  expect(await byKind("server")).toEqual(["a"]);
});

test("a table describes itself", async () => {
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  expect(Table).toMatchObject({
    TableArn: "arn:aws:dynamodb:local-1:000000000000:table/things",
    TableStatus: "ACTIVE",
    GlobalSecondaryIndexes: [{ IndexName: "by-kind", IndexStatus: "ACTIVE" }],
  });
});

test.each<[string, () => Promise<unknown>, string]>([
  [
    "transactions",
    () =>
      client.send(
        new TransactWriteItemsCommand({ TransactItems: [{ Put: { TableName, Item: item("t") } }] }),
      ),
    "TransactWriteItems",
  ],
  [
    "returning the item of a failed condition",
    () =>
      client.send(
        new PutItemCommand({ TableName, Item: item("t"), ReturnValuesOnConditionCheckFailure: "ALL_OLD" }),
      ),
    "ReturnValuesOnConditionCheckFailure",
  ],
  [
    "tables that no template declares",
    () =>
      client.send(
        new CreateTableCommand({
          TableName: "mine",
          KeySchema: [{ AttributeName: "a", KeyType: "HASH" }],
          AttributeDefinitions: [{ AttributeName: "a", AttributeType: "S" }],
        }),
      ),
    "CreateTable",
  ],
])("%s: refused loudly", async (_, call, named) => {
  await expect(call()).rejects.toMatchObject({
    name: "NotImplemented",
    message: expect.stringContaining(named),
  });
  expect(await get("t")).toBeUndefined();
});

test("every table of a batch, and an index by its own name, must be allowed", async () => {
  const table = "arn:aws:dynamodb:local-1:000000000000:table/things";
  const limited = new DynamoDBClient(
    await cloud.clientFor("limited", {
      Effect: "Allow",
      Action: ["dynamodb:Batch*", "dynamodb:Query"],
      Resource: table,
    }),
  );
  const read = (tables: string[]) =>
    limited.send(
      new BatchGetItemCommand({
        RequestItems: Object.fromEntries(
          tables.map((name) => [name, { Keys: [name === "others" ? { pk: { S: "a" } } : item("a")] }]),
        ),
      }),
    );
  await expect(read(["things"])).resolves.toBeDefined();
  await expect(read(["things", "others"])).rejects.toMatchObject({
    name: "AccessDeniedException",
    message: expect.stringMatching(/BatchGetItem on resource: .*table\/others/),
  });
  const write = new BatchWriteItemCommand({
    RequestItems: {
      things: [{ PutRequest: { Item: item("b") } }],
      others: [{ PutRequest: { Item: { pk: { S: "b" } } } }],
    },
  });
  await expect(limited.send(write)).rejects.toMatchObject({ name: "AccessDeniedException" });
  expect(await get("b")).toBeUndefined();
  await expect(byKind("server", limited)).rejects.toMatchObject({
    message: expect.stringContaining("index/by-kind"),
  });
});

test("a sweep deletes what has expired, and only that", async () => {
  const now = Math.floor(cloud.clock.now() / 1000);
  await put("expired", { expiresAt: { N: String(now - 1) } });
  await put("fresh", { expiresAt: { N: String(now + 3600) } });
  await put("absurd", { expiresAt: { N: "1" } });
  await cloud.timeToLive.sweep();
  expect(await get("expired")).toBeUndefined();
  expect(await get("fresh")).toBeDefined();
  expect(await get("absurd")).toBeDefined();
});

test("an index that a template adds covers existing items, and an index that it drops is removed", async () => {
  await put("tagged", { colour: { S: "red" }, kind: { S: "tagged" } });
  const byColour = {
    IndexName: "by-colour",
    KeySchema: [{ AttributeName: "colour", KeyType: "HASH" }],
    Projection: { ProjectionType: "KEYS_ONLY" },
  };
  await cloud.provision("AWS::DynamoDB::Table", "Things", {
    ...tableProperties,
    AttributeDefinitions: [
      ...tableProperties.AttributeDefinitions,
      { AttributeName: "colour", AttributeType: "S" },
    ],
    GlobalSecondaryIndexes: [...tableProperties.GlobalSecondaryIndexes, byColour],
  });
  const query = new QueryCommand({
    TableName,
    IndexName: "by-colour",
    KeyConditionExpression: "colour = :colour",
    ExpressionAttributeValues: { ":colour": { S: "red" } },
  });
  expect((await client.send(query)).Items).toEqual([{ ...item("tagged"), colour: { S: "red" } }]);
  await cloud.provision("AWS::DynamoDB::Table", "Things", tableProperties);
  await expect(client.send(query)).rejects.toThrow("by-colour");
  expect(await byKind("tagged")).toEqual(["tagged"]);
});

test("changing a table's keys is refused, and so is a stream", async () => {
  const KeySchema = tableProperties.KeySchema.slice(0, 1);
  const AttributeDefinitions = tableProperties.AttributeDefinitions.filter(
    ({ AttributeName }) => AttributeName !== "sk",
  );
  await expect(
    cloud.provision("AWS::DynamoDB::Table", "Things", {
      ...tableProperties,
      KeySchema,
      AttributeDefinitions,
    }),
  ).rejects.toThrow(/would replace it/);
  const StreamSpecification = { StreamViewType: "NEW_IMAGE" };
  await expect(
    cloud.provision("AWS::DynamoDB::Table", "Streamed", { ...tableProperties, StreamSpecification }),
  ).rejects.toThrow(/streams/);
});
