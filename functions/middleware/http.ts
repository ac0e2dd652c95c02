/** What every HTTP function does before and after its operation, as middleware for middy. */
import type { MiddlewareObj } from "@middy/core";
import { errorFields, type Log } from "#shared/log.ts";
import { ApiEvent } from "./api-event.ts";
import { problemOf } from "./problem.ts";

export interface ApiResult {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

export function jsonResult(statusCode: number, contentType: string, body: unknown): ApiResult {
  return { statusCode, headers: { "content-type": contentType }, body: JSON.stringify(body) };
}

/** Fills in the defaults of everything optional in the event. */
export function normalisedEvent(): MiddlewareObj<unknown, ApiResult> {
  return {
    before: (request) => {
      request.event = ApiEvent.parse(request.event);
    },
  };
}

/** Answers every error as problem details, and logs it, with its stack if it is a bug of ours. */
export function problemDetails(log: Log): MiddlewareObj<unknown, ApiResult> {
  return {
    onError: (request) => {
      const event = ApiEvent.safeParse(request.event);
      const requestId = event.data?.requestContext.requestId ?? "unknown";
      const problem = problemOf(request.error, requestId);
      const fields = { requestId, routeKey: event.data?.routeKey, status: problem.status };
      if (problem.status >= 500) log.error("request failed", { ...fields, ...errorFields(request.error) });
      else log.info("request refused", { ...fields, name: problem.name, detail: problem.detail });
      request.response = jsonResult(problem.status, "application/problem+json", problem);
    },
  };
}

const SECURITY_HEADERS = {
  // Answers contain secrets (tokens, credentials) and quickly outdated state.
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=63072000; includeSubDomains",
  "x-content-type-options": "nosniff",
};

/** Sets headers on every answer, also on errors. It must be the first middleware to see the answer last. */
export function securityHeaders(): MiddlewareObj<unknown, ApiResult> {
  const add = (request: { response: ApiResult | null }): void => {
    if (request.response) Object.assign(request.response.headers, SECURITY_HEADERS);
  };
  return { after: add, onError: add };
}
