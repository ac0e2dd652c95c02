/** What the wire adapters of the IoT services share: routing and the REST JSON error form. */
import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { ServiceRequest, ServiceResponse } from "../core/service.ts";

export interface Route<Context> {
  method: string;
  /** Its groups are the path parameters. */
  path: RegExp;
  run(context: Context, parameters: Record<string, string>): Promise<unknown>;
}

/** Runs the operation that the method and path name; its result is the answer's JSON. */
export async function route<Context>(
  routes: readonly Route<Context>[],
  request: ServiceRequest,
  context: Context,
): Promise<ServiceResponse> {
  for (const { method, path, run } of routes) {
    const match = request.method === method ? path.exec(request.path) : null;
    if (!match) continue;
    const parameters = Object.fromEntries(
      Object.entries(match.groups ?? {}).map(([name, value]) => [name, decode(value)]),
    );
    const result = await run(context, parameters);
    return {
      status: 200,
      headers: { "content-type": "application/json" },
      body: result === undefined ? "" : JSON.stringify(result),
    };
  }
  throw new UnsupportedError(`the IoT operation ${request.method} ${request.path}`);
}

/** Parses the input with its schema. Throws `InvalidRequestException`. */
export function validate<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AwsError("InvalidRequestException", z.prettifyError(parsed.error));
}

/** Parses the JSON body with its schema. An empty body counts as `{}`. */
export async function readJson<T extends z.ZodType>(
  request: ServiceRequest,
  schema: T,
): Promise<z.output<T>> {
  const MAX_BODY_BYTES = 64 * 1024;
  const text = (await request.readBody(MAX_BODY_BYTES)).toString("utf8");
  let json: unknown;
  try {
    json = text === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw new AwsError("InvalidRequestException", "the request body is not JSON", 400, { cause: error });
  }
  return validate(schema, json);
}

/** Refuses query parameters that the schema does not have, because they would be silently ignored. */
export function readQuery<T extends z.ZodType>(request: ServiceRequest, schema: T): z.output<T> {
  return validate(schema, Object.fromEntries(request.query));
}

export function renderJsonError(error: unknown): ServiceResponse {
  const known =
    error instanceof AwsError ? error : new AwsError("InternalFailureException", "an internal failure", 500);
  return {
    // The evaluator uses the JSON services' status. IoT answers 403.
    status: known.code === "AccessDeniedException" ? 403 : known.status,
    headers: { "content-type": "application/json", "x-amzn-errortype": known.code },
    body: JSON.stringify({ message: known.message }),
  };
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    throw new AwsError("InvalidRequestException", "the path is not percent-encoded", 400, { cause: error });
  }
}
