/** The parts of an HTTP API event (payload format 2.0) that the functions read, and its caller. */
import * as z from "zod";
import { ForbiddenError, InvalidInputError } from "#shared/errors.ts";
import type { RouteAuth } from "#shared/protocol/routes.ts";

export const ApiEvent = z.object({
  routeKey: z.string(),
  headers: z.record(z.string(), z.string().optional()).default({}),
  queryStringParameters: z.record(z.string(), z.string()).default({}),
  pathParameters: z.record(z.string(), z.string()).default({}),
  body: z.string().optional(),
  isBase64Encoded: z.boolean().default(false),
  requestContext: z.object({
    requestId: z.string(),
    domainName: z.string(),
    http: z.object({ sourceIp: z.string() }),
    authorizer: z
      .object({
        jwt: z.object({ claims: z.record(z.string(), z.unknown()) }).optional(),
        iam: z.object({ userArn: z.string() }).optional(),
      })
      .optional(),
  }),
});
export type ApiEvent = z.infer<typeof ApiEvent>;

export type Actor =
  | { kind: "user"; name: string }
  /** The caller uses temporary credentials that this certificate obtained. */
  | { kind: "certificate"; id: string }
  | { kind: "anyone" };

/**
 * The caller, as API Gateway's authorizer identified it. Throws `ForbiddenError` if the route is for another
 * kind of caller.
 */
export function actorOf({ requestContext: { authorizer } }: ApiEvent, auth: RouteAuth): Actor {
  if (auth === "none") return { kind: "anyone" };
  if (auth === "user") {
    const claims = authorizer?.jwt?.claims;
    const name = claims?.username ?? claims?.sub;
    if (typeof name === "string" && name !== "") return { kind: "user", name };
  } else {
    // arn:aws:sts::<account>:assumed-role/<role>/<session>; IoT's credentials provider names the session
    // after the certificate.
    const id = authorizer?.iam?.userArn.split("/")[2];
    if (id) return { kind: "certificate", id };
  }
  throw new ForbiddenError(`only ${auth === "user" ? "a user" : "an agent"} may do this`);
}

/** The body's JSON; `undefined` if there is no body. Throws `InvalidInputError`. */
export function jsonBody({ body, isBase64Encoded }: ApiEvent): unknown {
  if (!body) return undefined;
  try {
    return JSON.parse(isBase64Encoded ? Buffer.from(body, "base64").toString() : body);
  } catch {
    throw new InvalidInputError([{ path: "", message: "is not JSON" }]);
  }
}

/** The URL at which the caller reached this API. */
export function apiUrlOf({ headers, requestContext: { domainName } }: ApiEvent): string {
  const scheme = headers["x-forwarded-proto"] ?? "https";
  const port = headers["x-forwarded-port"];
  const usual = !port || domainName.includes(":") || port === (scheme === "https" ? "443" : "80");
  return `${scheme}://${domainName}${usual ? "" : `:${port}`}`;
}

/** The caller's name in the audit. */
export function actorName(actor: Actor): string {
  if (actor.kind === "user") return actor.name;
  return actor.kind === "certificate" ? actor.id : "anyone";
}
