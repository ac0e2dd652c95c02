import type { IncomingMessage } from "node:http";
import type { HttpApiDefinition } from "./api-model.ts";
import { commonLogTime, type Identity, sourceAddress } from "./lambda-event.ts";
import type { HttpAnswer } from "./proxy-response.ts";

/** What the log records about an answered request. Times are milliseconds. */
export interface AccessRecord {
  request: IncomingMessage;
  requestId: string;
  path: string;
  routeKey: string;
  receivedAt: number;
  answeredAt: number;
  answer: HttpAnswer;
  identity: Identity | undefined;
  /** Why API Gateway itself refused or failed, if it did. */
  failure: string | undefined;
}

/** Fills in the `$context` variables of a stage's access log format; `-` where there is no value. */
export function formatAccess(format: string, api: HttpApiDefinition, record: AccessRecord): string {
  const variables = contextVariables(api, record);
  return format.replace(/\$context\.([a-zA-Z0-9_.:-]*[a-zA-Z0-9_])/g, (_match, name: string) => {
    const text = String(variables[name] ?? "-");
    // Formats are mostly JSON with the variables in quotes.
    return JSON.stringify(text).slice(1, -1);
  });
}

function contextVariables(
  api: HttpApiDefinition,
  record: AccessRecord,
): Record<string, string | number | undefined> {
  const { request, answer, identity, failure } = record;
  const claims = identity && "jwt" in identity ? identity.jwt.claims : {};
  return {
    ...Object.fromEntries(
      Object.entries(claims).map(([name, value]) => [`authorizer.claims.${name}`, value]),
    ),
    apiId: api.id,
    "authorizer.error": failure,
    domainName: request.headers.host,
    "error.message": failure,
    "error.messageString": failure && JSON.stringify(failure),
    httpMethod: request.method,
    "identity.sourceIp": sourceAddress(request),
    "identity.userAgent": request.headers["user-agent"],
    "identity.userArn": identity && "iam" in identity ? identity.iam.caller.arn : undefined,
    integrationErrorMessage: failure,
    path: record.path,
    protocol: `HTTP/${request.httpVersion}`,
    requestId: record.requestId,
    requestTime: commonLogTime(record.receivedAt),
    requestTimeEpoch: record.receivedAt,
    responseLatency: record.answeredAt - record.receivedAt,
    responseLength: answer.body.length,
    routeKey: record.routeKey,
    stage: api.stage?.name,
    status: answer.status,
  };
}
