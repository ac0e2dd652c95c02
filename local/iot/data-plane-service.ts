import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { Authorizer, Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import type { Broker } from "./broker.ts";
import { MAX_PAYLOAD_BYTES } from "./client-stream.ts";
import { iotArn } from "./ports.ts";
import { type Route, readQuery, renderJsonError, route } from "./rest-json.ts";
import { topicProblem } from "./topic.ts";

interface Call {
  authorizer: Authorizer;
  broker: Broker;
  newId: () => string;
  request: ServiceRequest;
}

/** The AWS IoT data plane API: publishing to devices and rules. */
export class DataPlaneService implements Service {
  readonly name = "iotdata";
  readonly #options: Omit<Call, "request">;

  constructor(options: { authorizer: Authorizer; broker: Broker; newId: () => string }) {
    this.#options = options;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    return route(ROUTES, request, { ...this.#options, request });
  }

  renderError(error: unknown): ServiceResponse {
    return renderJsonError(error);
  }

  async close(): Promise<void> {}
}

const PublishQuery = z.strictObject({
  qos: z
    .enum(["0", "1"])
    .transform((qos) => (qos === "1" ? 1 : 0))
    .default(0),
  retain: z.stringbool({ truthy: ["true"], falsy: ["false"] }).default(false),
});

const ROUTES: readonly Route<Call>[] = [{ method: "POST", path: /^\/topics\/(?<topic>.+)$/, run: publish }];

async function publish({ authorizer, broker, newId, request }: Call, { topic = "" }): Promise<unknown> {
  const { caller } = request;
  authorizer.authorize(caller, { action: "iot:Publish", resource: iotArn("topic", topic) });
  const mqtt5 = Object.keys(request.headers).find((header) => header.startsWith("x-amz-mqtt5-"));
  if (mqtt5) throw new UnsupportedError(`the MQTT 5 property ${mqtt5}`);
  const { qos, retain } = readQuery(request, PublishQuery);
  if (retain) throw new UnsupportedError("retained messages");
  const problem = topicProblem(topic);
  if (problem) throw new AwsError("InvalidRequestException", `this is not a topic to publish on: ${problem}`);
  // Read one more byte, to detect a payload that is too large.
  const payload = await request.readBody(MAX_PAYLOAD_BYTES + 1);
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new AwsError(
      "RequestEntityTooLargeException",
      `the payload is over ${MAX_PAYLOAD_BYTES} bytes`,
      413,
    );
  }
  const principal = caller.kind === "session" ? caller.sessionName : caller.service;
  broker.publish({ topic, payload, principal }, qos);
  return { message: "OK", traceId: newId() };
}
