import { randomUUID } from "node:crypto";
import { UnsupportedError } from "../core/aws-error.ts";
import { ACCOUNT_ID, REGION } from "../core/service.ts";

interface KeyElement {
  AttributeName: string;
  KeyType: string;
}
interface Throughput {
  ReadCapacityUnits: number;
  WriteCapacityUnits: number;
}
interface IndexDefinition {
  IndexName: string;
  KeySchema: KeyElement[];
  Projection: { ProjectionType?: string | undefined; NonKeyAttributes?: string[] | undefined };
  ProvisionedThroughput?: Throughput | undefined;
}

/** A template's definition of a table, with the field names of `CreateTable`. */
export interface TableDefinition {
  TableName: string;
  AttributeDefinitions: { AttributeName: string; AttributeType: string }[];
  KeySchema: KeyElement[];
  BillingMode: "PROVISIONED" | "PAY_PER_REQUEST";
  ProvisionedThroughput?: Throughput | undefined;
  GlobalSecondaryIndexes?: IndexDefinition[] | undefined;
  LocalSecondaryIndexes?: IndexDefinition[] | undefined;
}

/** A table as dynalite stores it and `DescribeTable` returns it. */
export interface Table extends Omit<TableDefinition, "BillingMode"> {
  TableArn: string;
  TableId: string;
  TableStatus: string;
  CreationDateTime: number;
}

/** The record of a table that is ready to use. */
export function newTable(definition: TableDefinition, nowMs: number): Table {
  return record(definition, { TableId: randomUUID(), CreationDateTime: nowMs / 1000 });
}

/**
 * The record after a template changed. Throws if the change needs a new table, because the embedded cloud
 * would lose the items.
 */
export function updatedTable(existing: Table, definition: TableDefinition): Table {
  const before = immutablePart(existing);
  if (before !== immutablePart(definition)) {
    throw new UnsupportedError(
      `changing the keys or local indexes of the table ${definition.TableName}, which would replace it and lose its items`,
    );
  }
  return record(definition, existing);
}

export function tableArn(tableName: string): string {
  return `arn:aws:dynamodb:${REGION}:${ACCOUNT_ID}:table/${tableName}`;
}

function record(
  { BillingMode, ...definition }: TableDefinition,
  { TableId, CreationDateTime }: Pick<Table, "TableId" | "CreationDateTime">,
): Table {
  const arn = tableArn(definition.TableName);
  const describe = (index: IndexDefinition) => ({
    ...index,
    IndexArn: `${arn}/index/${index.IndexName}`,
    IndexSizeBytes: 0,
    ItemCount: 0,
  });
  const { GlobalSecondaryIndexes, LocalSecondaryIndexes, ProvisionedThroughput } = definition;
  const billing = { BillingModeSummary: { BillingMode } };
  return {
    ...definition,
    ...(GlobalSecondaryIndexes && {
      GlobalSecondaryIndexes: GlobalSecondaryIndexes.map((index) => ({
        ...describe(index),
        IndexStatus: "ACTIVE",
        ProvisionedThroughput: throughput(index.ProvisionedThroughput),
      })),
    }),
    ...(LocalSecondaryIndexes && { LocalSecondaryIndexes: LocalSecondaryIndexes.map(describe) }),
    ...(BillingMode === "PAY_PER_REQUEST" && billing),
    ProvisionedThroughput: throughput(ProvisionedThroughput),
    TableArn: arn,
    TableId,
    TableStatus: "ACTIVE",
    CreationDateTime,
  };
}

function throughput(given: Throughput | undefined): Throughput & { NumberOfDecreasesToday: number } {
  const { ReadCapacityUnits = 0, WriteCapacityUnits = 0 } = given ?? {};
  return { ReadCapacityUnits, WriteCapacityUnits, NumberOfDecreasesToday: 0 };
}

/** What CloudFormation cannot change in place: keys with their types, and local indexes. */
function immutablePart(
  table: Pick<Table, "AttributeDefinitions" | "KeySchema" | "LocalSecondaryIndexes">,
): string {
  const types = new Map(
    table.AttributeDefinitions.map((entry) => [entry.AttributeName, entry.AttributeType]),
  );
  const keys = (schema: KeyElement[]) =>
    schema.map(({ AttributeName, KeyType }) => [AttributeName, KeyType, types.get(AttributeName)]);
  const locals = (table.LocalSecondaryIndexes ?? []).map(({ IndexName, KeySchema, Projection }) => [
    IndexName,
    keys(KeySchema),
    Projection.ProjectionType,
    Projection.NonKeyAttributes,
  ]);
  return JSON.stringify([keys(table.KeySchema), locals]);
}
