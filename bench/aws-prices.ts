/**
 * AWS's public prices that Causeway's use of AWS depends on: us-east-1, in dollars, without free tiers,
 * collected on 28 November 2026 from stored copies, because the price pages were not reachable. Each has the
 * page that is binding; read it before you rely on a figure.
 */
interface Price {
  /** Dollars for `per` units. */
  dollars: number;
  per: number;
  unit: string;
  page: string;
  /** Where the figure was read, and the date of that copy. */
  read: string;
}

const PRICE_LIST_2024 = "AWS price list of 1 July 2024, as infracost's test data quotes it";
const PRICE_LIST_2026 = "AWS price list of 30 July 2026, as a third party quotes it";
const IOT = "https://aws.amazon.com/iot-core/pricing/";
const S3 = "https://aws.amazon.com/s3/pricing/";
const DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const KMS = "https://aws.amazon.com/kms/pricing/";
const LAMBDA = "https://aws.amazon.com/lambda/pricing/";
const CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/";

/** Of what the embedded cloud counts. */
export const usagePrices = {
  s3Writes: {
    dollars: 0.005,
    per: 1000,
    unit: "PUT and LIST requests to S3",
    page: S3,
    read: PRICE_LIST_2024,
  },
  s3Reads: { dollars: 0.0004, per: 1000, unit: "GET requests to S3", page: S3, read: PRICE_LIST_2024 },
  dynamoDbWriteUnits: {
    dollars: 0.625,
    per: 1e6,
    unit: "writes of 1 KiB to DynamoDB",
    page: DYNAMODB,
    read: PRICE_LIST_2026,
  },
  dynamoDbReadUnits: {
    dollars: 0.125,
    per: 1e6,
    unit: "reads of 4 KiB from DynamoDB",
    page: DYNAMODB,
    read: PRICE_LIST_2026,
  },
  kmsRequests: {
    dollars: 0.03,
    per: 10_000,
    unit: "symmetric requests to KMS",
    page: KMS,
    read: PRICE_LIST_2024,
  },
  kmsSignatures: { dollars: 0.15, per: 10_000, unit: "signatures by KMS", page: KMS, read: PRICE_LIST_2024 },
  stateTransitions: {
    ...{ dollars: 0.025, per: 1000, unit: "state transitions" },
    ...{ page: "https://aws.amazon.com/step-functions/pricing/", read: "a stored copy of the page, undated" },
  },
  lambdaInvocations: {
    dollars: 0.2,
    per: 1e6,
    unit: "calls of functions",
    page: LAMBDA,
    read: PRICE_LIST_2024,
  },
  lambdaGiBSeconds: {
    dollars: 16.6667,
    per: 1e6,
    unit: "GiB-seconds of functions, x86",
    page: LAMBDA,
    read: PRICE_LIST_2024,
  },
  schedulerInvocations: {
    ...{ dollars: 1, per: 1e6, unit: "calls of schedules" },
    page: "https://aws.amazon.com/eventbridge/pricing/",
    read: "cloudburn.io, March 2026",
  },
  mqttMessages: {
    dollars: 1,
    per: 1e6,
    unit: "MQTT messages of 5 KiB",
    page: IOT,
    read: "api-evangelist, 20 September 2026",
  },
  ruleInvocations: {
    dollars: 0.3,
    per: 1e6,
    unit: "topic rules with one action",
    page: IOT,
    read: "a third party, 2026",
  },
  snsPublishes: {
    ...{ dollars: 0.5, per: 1e6, unit: "publishes to SNS" },
    page: "https://aws.amazon.com/sns/pricing/",
    read: PRICE_LIST_2024,
  },
  logBytes: {
    dollars: 0.5,
    per: 1e9,
    unit: "bytes of logs",
    page: CLOUDWATCH,
    read: "cloudburn.io, February 2026",
  },
} as const satisfies Record<string, Price>;

/** By the month. */
export const monthlyPrices = {
  metric: { dollars: 0.3, per: 1, unit: "metric", page: CLOUDWATCH, read: "signoz.io, 15 February 2026" },
  alarm: { dollars: 0.1, per: 1, unit: "alarm", page: CLOUDWATCH, read: "cloudburn.io, February 2026" },
  connectedMinute: {
    ...{ dollars: 0.08, per: 1e6, unit: "minutes connected by MQTT" },
    ...{ page: IOT, read: "api-evangelist, 20 September 2026" },
  },
} as const satisfies Record<string, Price>;
