import type { IncomingMessage } from "node:http";
import { ACCOUNT_ID, type SessionCaller } from "../core/service.ts";
import type { RouteMatch } from "./route-matcher.ts";

/** The result of a route's authorizer. `undefined` if the route has none. */
export type Identity =
  | { jwt: { claims: Record<string, string>; scopes: string[] | null } }
  | { iam: { caller: SessionCaller; accessKey: string } };

export interface EventInput {
  request: IncomingMessage;
  target: RequestTarget;
  match: RouteMatch;
  apiId: string;
  stage: string;
  requestId: string;
  /** Milliseconds since 1970. */
  receivedAt: number;
  body: Buffer;
  identity: Identity | undefined;
}

export interface RequestTarget {
  /** Decoded, despite the name: API Gateway passes it on this way. */
  rawPath: string;
  rawQueryString: string;
}

/** Splits and decodes a request target. Returns `undefined` if its path is not valid percent-encoding. */
export function parseTarget(url: string): RequestTarget | undefined {
  const [path = "/", ...query] = url.split("?");
  try {
    return { rawPath: decodeURIComponent(path), rawQueryString: query.join("?") };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** The event of payload format 2.0 that a proxy integration receives. */
export function lambdaEvent(input: EventInput): Record<string, unknown> {
  const { request, target, match, apiId, stage, requestId, receivedAt, body, identity } = input;
  const { cookie, ...headers } = joinedHeaders(request);
  const isBase64Encoded = body.length > 0 && !isText(headers["content-type"]);
  const domainName = headers.host ?? "";
  const sourceIp = sourceAddress(request);
  return {
    version: "2.0",
    routeKey: match.route.key,
    rawPath: target.rawPath,
    rawQueryString: target.rawQueryString,
    ...(cookie !== undefined && { cookies: cookie.split(/[;,] */).filter((part) => part !== "") }),
    headers: {
      ...headers,
      "x-amzn-trace-id": `Root=1-${Math.floor(receivedAt / 1000).toString(16)}-${requestId.replaceAll("-", "").slice(0, 24)}`,
      "x-forwarded-for": headers["x-forwarded-for"] ? `${headers["x-forwarded-for"]}, ${sourceIp}` : sourceIp,
      "x-forwarded-port": String(request.socket.localPort ?? ""),
      "x-forwarded-proto": "encrypted" in request.socket ? "https" : "http",
    },
    ...(target.rawQueryString !== "" && { queryStringParameters: joinedQuery(target.rawQueryString) }),
    ...(Object.keys(match.pathParameters).length > 0 && { pathParameters: match.pathParameters }),
    requestContext: {
      accountId: ACCOUNT_ID,
      apiId,
      ...(identity && { authorizer: authorizerContext(identity) }),
      domainName,
      domainPrefix: domainName.split(/[.:]/)[0],
      http: {
        method: request.method,
        path: target.rawPath,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp,
        userAgent: headers["user-agent"] ?? "",
      },
      requestId,
      routeKey: match.route.key,
      stage,
      time: commonLogTime(receivedAt),
      timeEpoch: receivedAt,
    },
    ...(body.length > 0 && { body: body.toString(isBase64Encoded ? "base64" : "utf8") }),
    isBase64Encoded,
  };
}

/** As in access logs: `12/Mar/2030:19:03:58 +0000`. */
export function commonLogTime(time: number): string {
  const [, day, month, year, clock] = new Date(time).toUTCString().split(" ");
  return `${day}/${month}/${year}:${clock} +0000`;
}

export function sourceAddress(request: IncomingMessage): string {
  return (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
}

function joinedHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headersDistinct).map(([name, values]) => [name, values?.join(",") ?? ""]),
  );
}

function joinedQuery(query: string): Record<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(joined);
}

/** Bodies of any other type arrive in base64. */
function isText(contentType = ""): boolean {
  return /^(text\/.*|application\/(json|xml|javascript|.*\+json|.*\+xml))$/i.test(
    contentType.replace(/;.*$/, "").trim(),
  );
}

function authorizerContext(identity: Identity): object {
  if ("jwt" in identity) return { jwt: identity.jwt };
  const { caller, accessKey } = identity.iam;
  const id = `AROA${Buffer.from(caller.roleArn).toString("hex").toUpperCase().slice(-17)}:${caller.sessionName}`;
  return {
    iam: {
      accessKey,
      accountId: ACCOUNT_ID,
      callerId: id,
      cognitoIdentity: null,
      principalOrgId: null,
      userArn: caller.arn,
      userId: id,
    },
  };
}
