import type { KeyObject } from "node:crypto";
import { errors, type JWTPayload, jwtVerify } from "jose";
import type { JwtAuthorizer } from "./api-model.ts";

/** The issuers whose keys are known. */
export interface Issuers {
  hasIssuer(issuer: string): boolean;
  publicKeyFor(issuer: string, keyId: string): KeyObject | undefined;
}

export type Verdict =
  | { claims: Record<string, string>; scopes: string[] | null }
  | { refused: "unauthorized" | "forbidden"; challenge: string; reason: string };

/**
 * Checks a token as API Gateway's JWT authorizer does: RSA signature by a key of the issuer, `iss`, `exp`,
 * `nbf`, `iat`, `aud` (or, without it, `client_id`) and at least one of the route's scopes. `now` is
 * milliseconds since 1970.
 */
export async function verifyToken(
  header: string | undefined,
  { authorizer, requiredScopes, issuers, now }: VerifyOptions,
): Promise<Verdict> {
  const token = header?.replace(/^Bearer +/i, "");
  if (!token) return unauthorized("Bearer", "no token");
  let payload: JWTPayload;
  try {
    const keyFor = ({ kid = "" }: { kid?: string }): KeyObject => {
      const key = issuers.publicKeyFor(authorizer.issuer, kid);
      if (!key) throw new errors.JWKSNoMatchingKey();
      return key;
    };
    ({ payload } = await jwtVerify(token, keyFor, {
      issuer: authorizer.issuer,
      algorithms: ["RS256", "RS384", "RS512"],
      currentDate: new Date(now),
      requiredClaims: ["exp"],
    }));
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return invalidToken(error.message);
  }
  if ((payload.iat ?? 0) * 1000 > now) return invalidToken("iat is in the future");
  const audiences = [payload.aud ?? payload.client_id].flat();
  if (!audiences.some((audience) => authorizer.audience.includes(String(audience)))) {
    return invalidToken("the audience is not the API's");
  }
  const scopes = scopesOf(payload);
  if (requiredScopes.length > 0 && !requiredScopes.some((scope) => scopes.includes(scope))) {
    const challenge = `Bearer scope="${requiredScopes.join(" ")}" error="insufficient_scope"`;
    return { refused: "forbidden", challenge, reason: "insufficient scope" };
  }
  return { claims: claimTexts(payload), scopes: requiredScopes.length > 0 ? scopes : null };
}

export interface VerifyOptions {
  authorizer: JwtAuthorizer;
  requiredScopes: string[];
  issuers: Issuers;
  now: number;
}

function unauthorized(challenge: string, reason: string): Verdict {
  return { refused: "unauthorized", challenge, reason };
}

function invalidToken(reason: string): Verdict {
  const description = reason.replaceAll('"', "'");
  return unauthorized(`Bearer scope="" error="invalid_token" error_description="${description}"`, reason);
}

function scopesOf({ scope, scp }: JWTPayload): string[] {
  const value = scope ?? scp;
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? value.split(" ").filter((part) => part !== "") : [];
}

/** Handlers get every claim as text, and a list as `[a b]`. */
function claimTexts(payload: JWTPayload): Record<string, string> {
  const text = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(text).join(" ")}]`;
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  return Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, text(value)]));
}
