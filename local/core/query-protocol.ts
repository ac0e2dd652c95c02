/** The query protocol of older services: a form goes in, XML comes out. */
import * as z from "zod";
import { AwsError, UnsupportedError } from "./aws-error.ts";
import { asAwsError } from "./json-protocol.ts";
import type { ServiceRequest, ServiceResponse } from "./service.ts";
import { escapeXml } from "./xml.ts";

/** A call's action and its parameters as they are in the form: lists are numbered from 1. */
export interface QueryCall {
  action: string | undefined;
  input: Record<string, string>;
}

export async function readQueryCall(request: ServiceRequest): Promise<QueryCall> {
  const form = new URLSearchParams((await request.readBody()).toString("utf8"));
  const { Action: action, Version: _, ...input } = Object.fromEntries(form);
  return { action, input };
}

/**
 * Parses parameters with a strict schema. Throws `UnsupportedError` for parameters that the schema does not
 * have, so that none is silently ignored, and an `AwsError` with `code` for any other mismatch.
 */
export function parseQuery<Schema extends z.ZodType>(
  input: unknown,
  schema: Schema,
  { action, code }: { action: string; code: string },
): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const unknown = parsed.error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys" ? issue.keys : [],
  );
  if (unknown.length > 0) throw new UnsupportedError(`${unknown.join(", ")} of ${action}`);
  throw new AwsError(code, z.prettifyError(parsed.error));
}

/** The answer of an action; `result` is XML. */
export function queryResponse(namespace: string, action: string, result: string): ServiceResponse {
  return {
    status: 200,
    ...xml(
      `<${action}Response xmlns="${namespace}"><${action}Result>${result}</${action}Result></${action}Response>`,
    ),
  };
}

/** An error; `codes` has the service's own names for the errors that all services share. */
export function queryErrorResponse(
  namespace: string,
  error: unknown,
  codes: ReadonlyMap<string, readonly [code: string, status: number]>,
): ServiceResponse {
  const { code, message, status } = asAwsError(error);
  const [queryCode, queryStatus] = codes.get(code) ?? [code, status];
  const type = queryStatus < 500 ? "Sender" : "Receiver";
  const detail = element("Type", type) + element("Code", queryCode) + element("Message", message);
  return {
    status: queryStatus,
    ...xml(`<ErrorResponse xmlns="${namespace}"><Error>${detail}</Error></ErrorResponse>`),
  };
}

/** An element that holds text, or other elements (`raw`). */
export function element(name: string, content: string, form: "text" | "raw" = "text"): string {
  return `<${name}>${form === "raw" ? content : escapeXml(content)}</${name}>`;
}

function xml(body: string): Omit<ServiceResponse, "status"> {
  return {
    headers: { "content-type": "text/xml" },
    body: `<?xml version="1.0" encoding="UTF-8"?>${body}`,
  };
}
