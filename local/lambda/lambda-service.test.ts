import { Readable } from "node:stream";
import { afterEach, expect, test } from "vitest";
import type { Caller, ServiceRequest } from "../core/service.ts";
import { LambdaService } from "./lambda-service.ts";
import { anyone, LambdaWorld, sessionOf } from "./testing/lambda-world.ts";

let world: LambdaWorld;
afterEach(() => world.lambda.close());

async function start(): Promise<{ service: LambdaService; functionArn: string }> {
  world = new LambdaWorld();
  const functionArn = await world.addFunction(
    "double",
    `export const handler = async ({ n }) => { if (n === undefined) throw new TypeError("no n"); return n * 2; };`,
  );
  return { service: new LambdaService({ lambda: world.lambda }), functionArn };
}

function invocation(name: string, body: string, type?: string, caller: Caller = anyone): ServiceRequest {
  const bytes = Buffer.from(body);
  return {
    caller,
    method: "POST",
    path: `/2015-03-31/functions/${encodeURIComponent(name)}/invocations`,
    query: new URLSearchParams(),
    headers: type === undefined ? {} : { "x-amz-invocation-type": type },
    body: Readable.from([bytes]),
    readBody: async () => bytes,
    signature: { seed: "", key: Buffer.alloc(0), scope: "", date: "", payloadHash: "" },
  };
}

test("Invoke answers with the payload, by name or ARN", async () => {
  const { service, functionArn } = await start();
  for (const name of ["double", functionArn, `${functionArn}:$LATEST`]) {
    const response = await service.handle(invocation(name, '{"n":21}'));
    expect(response).toMatchObject({
      status: 200,
      body: "42",
      headers: { "x-amz-executed-version": "$LATEST" },
    });
  }
});

test("Invoke names a function error in its header", async () => {
  const { service } = await start();
  const response = await service.handle(invocation("double", ""));
  expect(response.headers).toMatchObject({ "x-amz-function-error": "Unhandled" });
  expect(JSON.parse(String(response.body))).toMatchObject({ errorType: "TypeError", errorMessage: "no n" });
});

test("an Event invocation is accepted at once, and a dry run only checks", async () => {
  const { service } = await start();
  world.lambda.start();
  expect(await service.handle(invocation("double", "{}", "Event"))).toEqual({ status: 202 });
  await world.log.contains("no n");
  expect(await service.handle(invocation("double", "{}", "DryRun"))).toEqual({ status: 204 });
  const powerless = sessionOf();
  await expect(service.handle(invocation("double", "{}", "DryRun", powerless))).rejects.toMatchObject({
    code: "AccessDeniedException",
  });
});

test("errors have the form that SDK clients read", async () => {
  const { service } = await start();
  const error = await service.handle(invocation("missing", "{}")).catch((thrown: unknown) => thrown);
  expect(service.renderError(error)).toMatchObject({
    status: 404,
    headers: { "x-amzn-errortype": "ResourceNotFoundException" },
  });
  await expect(service.handle(invocation("double", "{"))).rejects.toMatchObject({ status: 400 });
  const malformed = { ...invocation("double", "{}"), path: "/2015-03-31/functions/%zz/invocations" };
  await expect(service.handle(malformed)).rejects.toMatchObject({ status: 400 });
  await expect(service.handle(invocation("double:2", "{}"))).rejects.toMatchObject({ status: 404 });
});
