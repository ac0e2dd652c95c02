import type { IncomingMessage } from "node:http";
import type { CorsConfiguration } from "./api-model.ts";
import type { HttpAnswer } from "./proxy-response.ts";

/** API Gateway's own answer to a preflight request. Returns `undefined` for other requests. */
export function preflightAnswer(cors: CorsConfiguration, request: IncomingMessage): HttpAnswer | undefined {
  const { origin, "access-control-request-method": method } = request.headers;
  if (request.method !== "OPTIONS" || origin === undefined || method === undefined) return undefined;
  const allowed = originHeaders(cors, origin);
  return {
    status: 204,
    headers: {
      ...allowed,
      ...(allowed["access-control-allow-origin"] && {
        ...list("access-control-allow-methods", cors.allowMethods),
        ...list("access-control-allow-headers", cors.allowHeaders),
        ...(cors.maxAgeSeconds !== undefined && { "access-control-max-age": String(cors.maxAgeSeconds) }),
      }),
    },
    cookies: [],
    body: Buffer.alloc(0),
  };
}

/** The headers for every other answer. They replace those that a function sets itself. */
export function corsHeaders(cors: CorsConfiguration, request: IncomingMessage): Record<string, string> {
  const { origin } = request.headers;
  if (origin === undefined) return {};
  return { ...originHeaders(cors, origin), ...list("access-control-expose-headers", cors.exposeHeaders) };
}

function originHeaders(cors: CorsConfiguration, origin: string): Record<string, string> {
  const anyOrigin = cors.allowOrigins.includes("*");
  if (!anyOrigin && !cors.allowOrigins.some((pattern) => matchesOrigin(pattern, origin))) return {};
  return {
    "access-control-allow-origin": anyOrigin ? "*" : origin,
    ...(!anyOrigin && { vary: "origin" }),
    ...(cors.allowCredentials && { "access-control-allow-credentials": "true" }),
  };
}

/** `https://*` stands for every origin of that scheme. */
function matchesOrigin(pattern: string, origin: string): boolean {
  return pattern.endsWith("://*") ? origin.startsWith(pattern.slice(0, -1)) : pattern === origin;
}

function list(name: string, values: string[]): Record<string, string> {
  return values.length === 0 ? {} : { [name]: values.join(",") };
}
