import { AwsError, UnsupportedError } from "#local/core/aws-error.ts";
import type { Authorizer, Caller, Service, ServiceRequest, ServiceResponse } from "#local/core/service.ts";
import type { StatesEngine } from "./engine.ts";
import { parseCall } from "./operations.ts";

const TARGET_PREFIX = "AWSStepFunctions.";
const CONTENT_TYPE = "application/x-amz-json-1.0";
/**
 * Input and output have at most 256 KiB each. Escaping them as JSON inside JSON can make them six times as
 * large.
 */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

/**
 * Step Functions on the wire: AWS JSON 1.0. Every call is authorised before the answer reveals whether
 * anything exists.
 */
export class StatesService implements Service {
  readonly name = "states";
  readonly #engine: StatesEngine;
  readonly #authorizer: Authorizer;

  constructor(engine: StatesEngine, authorizer: Authorizer) {
    this.#engine = engine;
    this.#authorizer = authorizer;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const target = request.headers["x-amz-target"];
    if (typeof target !== "string" || !target.startsWith(TARGET_PREFIX)) {
      throw new UnsupportedError(`the Step Functions target ${String(target)}`);
    }
    const operation = target.slice(TARGET_PREFIX.length);
    const call = parseCall(operation, parseBody(await request.readBody(MAX_BODY_BYTES)));
    this.#authorize(request.caller, `states:${operation}`, call.resources(this.#engine));
    return json(200, await call.run(this.#engine));
  }

  renderError(error: unknown): ServiceResponse {
    if (error instanceof AwsError) {
      return json(error.status, { __type: error.code, message: error.message });
    }
    // The message of an unexpected error can contain anything, so the caller learns only that the fault is
    // not theirs.
    return json(500, { __type: "InternalFailure", message: "An internal error occurred" });
  }

  /** Closes the engine too. */
  async close(): Promise<void> {
    await this.#engine.close();
  }

  /** Throws the first refusal unless one of the resources is allowed. */
  #authorize(caller: Caller, action: string, resources: readonly string[]): void {
    let refusal: unknown;
    for (const resource of resources.length > 0 ? resources : ["*"]) {
      try {
        this.#authorizer.authorize(caller, { action, resource });
        return;
      } catch (error) {
        refusal ??= error;
      }
    }
    throw refusal;
  }
}

function json(status: number, body: object): ServiceResponse {
  return { status, headers: { "content-type": CONTENT_TYPE }, body: JSON.stringify(body) };
}

function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString() || "{}");
  } catch (error) {
    throw new AwsError("SerializationException", "The request body is not JSON", 400, { cause: error });
  }
}
