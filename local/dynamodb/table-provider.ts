import * as z from "zod";
import { UnsupportedError } from "../core/aws-error.ts";
import {
  booleanProperty,
  describeResource,
  numberProperty,
  parseProperties,
  tagsProperty,
} from "../core/resource-properties.ts";
import { type ProvisionedResource, REGION, type Resource, type ResourceProvider } from "../core/service.ts";
import type { TableDefinition } from "./table.ts";
import type { TableStore } from "./table-store.ts";
import type { TimeToLive } from "./time-to-live.ts";

const KeySchema = z.array(z.strictObject({ AttributeName: z.string(), KeyType: z.enum(["HASH", "RANGE"]) }));
const Throughput = z.strictObject({ ReadCapacityUnits: numberProperty, WriteCapacityUnits: numberProperty });
const Index = z.strictObject({
  IndexName: z.string(),
  KeySchema,
  Projection: z.strictObject({
    ProjectionType: z.enum(["ALL", "KEYS_ONLY", "INCLUDE"]).optional(),
    NonKeyAttributes: z.array(z.string()).optional(),
  }),
  ProvisionedThroughput: Throughput.optional(),
});
/**
 * Backups and encryption at rest are AWS features with no meaning on one machine. They are accepted and have
 * no effect.
 */
const WITHOUT_EFFECT = {
  DeletionProtectionEnabled: booleanProperty.optional(),
  PointInTimeRecoverySpecification: z.looseObject({}).optional(),
  SSESpecification: z.looseObject({}).optional(),
  TableClass: z.string().optional(),
  Tags: tagsProperty.optional(),
};
const Common = {
  AttributeDefinitions: z.array(
    z.strictObject({ AttributeName: z.string(), AttributeType: z.enum(["S", "N", "B"]) }),
  ),
  BillingMode: z.enum(["PROVISIONED", "PAY_PER_REQUEST"]).default("PROVISIONED"),
  GlobalSecondaryIndexes: z.array(Index).optional(),
  KeySchema,
  LocalSecondaryIndexes: z.array(Index).optional(),
  TableName: z.string().optional(),
  TimeToLiveSpecification: z
    .strictObject({ AttributeName: z.string().optional(), Enabled: booleanProperty })
    .optional(),
};
const TableProperties = z.strictObject({
  ...Common,
  ...WITHOUT_EFFECT,
  ProvisionedThroughput: Throughput.optional(),
});
const GlobalTableProperties = z.strictObject({
  ...Common,
  SSESpecification: z.looseObject({}).optional(),
  Replicas: z
    .array(
      z.strictObject({
        ...WITHOUT_EFFECT,
        Region: z.literal(REGION),
        GlobalSecondaryIndexes: z.array(z.strictObject({ IndexName: z.string() })).optional(),
      }),
    )
    .length(1),
});

/** `AWS::DynamoDB::Table` and `AWS::DynamoDB::GlobalTable` with one replica. Streams are refused. */
export class TableProvider implements ResourceProvider {
  readonly types = ["AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"];
  readonly #tables: TableStore;
  readonly #timeToLive: TimeToLive;

  constructor(options: { tables: TableStore; timeToLive: TimeToLive }) {
    this.#tables = options.tables;
    this.#timeToLive = options.timeToLive;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    if (resource.properties.StreamSpecification !== undefined) {
      throw new UnsupportedError(`DynamoDB streams (${describeResource(resource)})`);
    }
    const properties =
      resource.type === "AWS::DynamoDB::Table"
        ? parseProperties(resource, TableProperties)
        : parseProperties(resource, GlobalTableProperties);
    const { TimeToLiveSpecification, TableName = resource.generatedName } = properties;
    const table = await this.#tables.ensure(definitionOf(TableName, properties));
    if (TimeToLiveSpecification?.Enabled && TimeToLiveSpecification.AttributeName !== undefined) {
      this.#timeToLive.watch(TableName, TimeToLiveSpecification.AttributeName);
    }
    return { ref: TableName, attributes: { Arn: table.TableArn, TableId: table.TableId } };
  }
}

function definitionOf(
  TableName: string,
  properties: z.output<typeof TableProperties> | z.output<typeof GlobalTableProperties>,
): TableDefinition {
  const { AttributeDefinitions, BillingMode, GlobalSecondaryIndexes, LocalSecondaryIndexes } = properties;
  const throughput = "ProvisionedThroughput" in properties ? properties.ProvisionedThroughput : undefined;
  return {
    TableName,
    AttributeDefinitions,
    KeySchema: properties.KeySchema,
    BillingMode,
    ...(throughput && { ProvisionedThroughput: throughput }),
    ...(GlobalSecondaryIndexes && { GlobalSecondaryIndexes }),
    ...(LocalSecondaryIndexes && { LocalSecondaryIndexes }),
  };
}
