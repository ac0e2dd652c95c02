import * as z from "zod";
import { AwsError, UnsupportedError } from "./aws-error.ts";
import type { ServiceRequest, ServiceResponse } from "./service.ts";

/** One call of a service that speaks AWS JSON: operation from `X-Amz-Target`, input from the body. */
export interface JsonCall {
  operation: string;
  input: Record<string, unknown>;
}

/** Reads an AWS JSON call; `targetPrefix` is the part before the dot, such as `TrentService`. */
export async function readJsonCall(request: ServiceRequest, targetPrefix: string): Promise<JsonCall> {
  const target = request.headers["x-amz-target"];
  if (typeof target !== "string" || !target.startsWith(`${targetPrefix}.`)) {
    throw new AwsError("UnknownOperationException", `X-Amz-Target must start with ${targetPrefix}.`);
  }
  const body = (await request.readBody()).toString("utf8");
  return { operation: target.slice(targetPrefix.length + 1), input: parseObject(body === "" ? "{}" : body) };
}

/** A successful answer in AWS JSON of the given version. */
export function jsonResponse(output: unknown, version: "1.0" | "1.1"): ServiceResponse {
  return {
    status: 200,
    headers: { "content-type": `application/x-amz-json-${version}` },
    body: JSON.stringify(output),
  };
}

/**
 * An error in AWS JSON. Anything but an `AwsError` is the embedded cloud's fault, so it becomes a 500 that
 * names it.
 */
export function jsonErrorResponse(error: unknown, version: "1.0" | "1.1"): ServiceResponse {
  const { code, message, status } = asAwsError(error);
  return {
    status,
    headers: { "content-type": `application/x-amz-json-${version}`, "x-amzn-errortype": code },
    body: JSON.stringify({ __type: code, message }),
  };
}

/** Any thrown value as an `AwsError`; an unexpected one becomes `InternalFailure`. */
export function asAwsError(error: unknown): AwsError {
  if (error instanceof AwsError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new AwsError("InternalFailure", `the embedded cloud failed: ${reason}`, 500, { cause: error });
}

/**
 * Parses a call's input with a strict schema. Throws `UnsupportedError` for members that the schema does not
 * have, so that none is silently ignored. Throws `ValidationException` for any other mismatch.
 */
export function parseInput<Schema extends z.ZodType>(call: JsonCall, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(call.input);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    if (issue.code === "unrecognized_keys") {
      throw new UnsupportedError(`${issue.keys.join(", ")} of ${call.operation}`);
    }
  }
  throw new AwsError("ValidationException", z.prettifyError(parsed.error));
}

function parseObject(body: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (cause) {
    throw new AwsError("SerializationException", "the body is not JSON", 400, { cause });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new AwsError("SerializationException", "the body is not a JSON object");
  }
  return parsed as Record<string, unknown>;
}
