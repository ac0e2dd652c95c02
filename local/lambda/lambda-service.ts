import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { LambdaInvoker, Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import { resolveFunctionArn } from "./function-configuration.ts";
import type { Lambda } from "./lambda.ts";
import { decodeSegment, renderRestJsonError } from "./rest-json.ts";

const invocationPath = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;
const LIMIT_BYTES = 6 * 1024 * 1024;

/** The wire API of Lambda: `Invoke` (`RequestResponse`, `Event`, `DryRun`). */
export class LambdaService implements Service {
  readonly name = "lambda";
  readonly #lambda: Lambda;

  constructor(options: { lambda: Lambda }) {
    this.#lambda = options.lambda;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const encodedName = request.path.match(invocationPath)?.[1];
    if (request.method !== "POST" || encodedName === undefined) {
      throw new UnsupportedError(`${request.method} ${request.path} of Lambda`);
    }
    const qualifier = request.query.get("Qualifier");
    const name = decodeSegment(encodedName) + (qualifier ? `:${qualifier}` : "");
    const body = await request.readBody(LIMIT_BYTES);
    const invocation = {
      functionArn: resolveFunctionArn(name),
      payload: parsePayload(body),
      caller: request.caller,
    };
    const type = request.headers["x-amz-invocation-type"] ?? "RequestResponse";
    if (type === "RequestResponse") return respond(this.#lambda, invocation);
    if (type === "Event") {
      this.#lambda.enqueue(invocation);
      return { status: 202 };
    }
    if (type !== "DryRun") throw new UnsupportedError(`the invocation type ${type}`);
    this.#lambda.check(invocation.functionArn, invocation.caller);
    return { status: 204 };
  }

  renderError(error: unknown): ServiceResponse {
    return renderRestJsonError(error);
  }

  /** Does nothing: the caller passed in the engine and closes it. */
  async close(): Promise<void> {}
}

async function respond(
  lambda: LambdaInvoker,
  invocation: Parameters<LambdaInvoker["invoke"]>[0],
): Promise<ServiceResponse> {
  const { payload, functionError } = await lambda.invoke(invocation);
  return {
    status: 200,
    headers: {
      "content-type": "application/json",
      "x-amz-executed-version": "$LATEST",
      ...(functionError && { "x-amz-function-error": functionError }),
    },
    body: JSON.stringify(payload) ?? "null",
  };
}

function parsePayload(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw new AwsError("InvalidRequestContentException", "Could not parse request body into json", 400, {
      cause: error,
    });
  }
}
