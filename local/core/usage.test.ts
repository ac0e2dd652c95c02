import { expect, test } from "vitest";
import type { Service, ServiceRequest, ServiceResponse } from "./service.ts";
import { UsageMeter } from "./usage.ts";

/** A service that answers every call with this body, behind the meter. */
function service(meter: UsageMeter, name: string, body = ""): Service {
  const answer: ServiceResponse = { status: 200, body };
  return meter.metered({
    name,
    handle: async () => answer,
    renderError: () => answer,
    close: async () => {},
  });
}

const call = (change: object): ServiceRequest =>
  ({ method: "POST", path: "/", query: new URLSearchParams(), headers: {}, ...change }) as ServiceRequest;
const json = (operation: string, bytes = 10) =>
  call({ headers: { "x-amz-target": `Service.${operation}`, "content-length": String(bytes) } });

test("requests to S3 are writes, reads, or free deletions", async () => {
  const meter = new UsageMeter();
  const s3 = service(meter, "s3");
  for (const method of ["PUT", "GET", "GET", "HEAD", "DELETE"]) await s3.handle(call({ method }));
  await s3.handle(call({ method: "GET", query: new URLSearchParams({ "list-type": "2" }) }));
  expect(meter.usage).toMatchObject({ s3Writes: 2, s3Reads: 3 });
});

test("an item counts by its size, and once more for its copy in the index", async () => {
  const meter = new UsageMeter();
  await service(meter, "dynamodb").handle(json("PutItem", 1024));
  await service(meter, "dynamodb").handle(json("UpdateItem", 1025));
  await service(meter, "dynamodb", "x".repeat(4097)).handle(json("Query"));
  await service(meter, "dynamodb").handle(json("GetItem"));
  expect(meter.usage).toMatchObject({ dynamoDbWriteUnits: 6, dynamoDbReadUnits: 3 });
});

test("signatures and other requests to KMS have prices of their own", async () => {
  const meter = new UsageMeter();
  for (const operation of ["Sign", "Decrypt", "GenerateDataKey"])
    await service(meter, "kms").handle(json(operation));
  expect(meter.usage).toMatchObject({ kmsSignatures: 1, kmsRequests: 2 });
});

test("messages count in units of 5 KiB, and an empty one as one", () => {
  const meter = new UsageMeter();
  for (const bytes of [0, 5120, 5121]) meter.message(bytes);
  expect(meter.usage.mqttMessages).toBe(4);
});

test("an invocation counts its memory for each millisecond that it began", () => {
  const meter = new UsageMeter();
  meter.invoked(500.2, 512);
  expect(meter.usage).toMatchObject({ lambdaInvocations: 1, lambdaGiBSeconds: 0.501 * 0.5 });
});

test("only functions' logs count, and each set of dimension values is one metric", () => {
  const meter = new UsageMeter();
  const written: unknown[] = [];
  const log = meter.meteredLog({ write: (source) => void written.push(source) });
  const _aws = {
    CloudWatchMetrics: [{ Namespace: "N", Dimensions: [["planId"]], Metrics: [{ Name: "lagSeconds" }] }],
  };
  const line = (planId: string) => ({ level: "INFO" as const, requestId: "r", message: { planId, _aws } });
  for (const planId of ["plan_1", "plan_1", "plan_2"]) log.write("finish-run", line(planId));
  log.write("iot", { level: "INFO", message: "a message of the embedded cloud itself" });
  expect(meter.usage.metrics).toBe(2);
  expect(meter.usage.logBytes).toBe(3 * JSON.stringify(line("plan_1").message).length);
  expect(written).toEqual(["finish-run", "finish-run", "finish-run", "iot"]);
});
