import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { SignJWT } from "jose";
import { AwsError } from "../core/aws-error.ts";
import { type Clock, REGION } from "../core/service.ts";
import { loadSigningKey, type SigningKey } from "./signing-key.ts";

export interface UserPool {
  id: string;
  clients: Set<string>;
  groups: Set<string>;
  /** The scopes of its resource servers, such as `api/read`. */
  scopes: Set<string>;
}

export interface TokenRequest {
  userPoolId: string;
  clientId: string;
  username: string;
  groups?: string[];
  scopes?: string[];
  lifetimeSeconds: number;
}

/** Scopes that every pool has. */
const standardScopes = new Set(["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"]);

/** The `iss` claim in this pool's tokens, as on AWS. */
export function issuerOf(userPoolId: string): string {
  return `https://cognito-idp.${REGION}.amazonaws.com/${userPoolId}`;
}

/**
 * The user pools. There is no sign-in. The embedded cloud issues tokens in the form of Cognito's access
 * tokens and signs them with this installation's key. Clients can verify them against the published key set.
 */
export class UserPools {
  readonly #pools = new Map<string, UserPool>();
  readonly #key: SigningKey;
  readonly #clock: Clock;
  readonly #newId: () => string;

  private constructor(key: SigningKey, options: { clock: Clock; newId: () => string }) {
    this.#key = key;
    this.#clock = options.clock;
    this.#newId = options.newId;
  }

  /**
   * The first start creates `keyFile`. Any program that can read it can issue tokens. `newId` returns a UUID.
   */
  static async open(options: { keyFile: string; clock: Clock; newId: () => string }): Promise<UserPools> {
    return new UserPools(await loadSigningKey(options.keyFile), options);
  }

  /** Throws `ResourceNotFoundException`. */
  get(userPoolId: string): UserPool {
    const pool = this.#pools.get(userPoolId);
    if (!pool) throw notFound(`User pool ${userPoolId}`);
    return pool;
  }

  put(userPoolId: string): UserPool {
    const pool = this.#pools.get(userPoolId) ?? {
      id: userPoolId,
      clients: new Set(),
      groups: new Set(),
      scopes: new Set(),
    };
    this.#pools.set(userPoolId, pool);
    return pool;
  }

  /**
   * The public key for an issuer and key id. Returns `undefined` if the issuer is not a pool in this cloud.
   */
  publicKeyFor(issuer: string, keyId: string): SigningKey["publicKey"] | undefined {
    return this.hasIssuer(issuer) && keyId === this.#key.jwk.kid ? this.#key.publicKey : undefined;
  }

  hasIssuer(issuer: string): boolean {
    return [...this.#pools.keys()].some((id) => issuerOf(id) === issuer);
  }

  /** Returns a signed access token. Rejects if the pool, the client, a group or a scope does not exist. */
  async issueToken(request: TokenRequest): Promise<string> {
    const {
      userPoolId,
      clientId,
      username,
      groups = [],
      scopes = ["aws.cognito.signin.user.admin"],
    } = request;
    const pool = this.get(userPoolId);
    if (!pool.clients.has(clientId)) throw notFound(`Client ${clientId} of user pool ${userPoolId}`);
    const group = groups.find((name) => !pool.groups.has(name));
    if (group !== undefined) throw notFound(`Group ${group} of user pool ${userPoolId}`);
    const scope = scopes.find((name) => !pool.scopes.has(name) && !standardScopes.has(name));
    if (scope !== undefined) throw notFound(`Scope ${scope} of user pool ${userPoolId}`);
    const now = Math.floor(this.#clock.now() / 1000);
    return new SignJWT({
      sub: uuidFrom(`${userPoolId}/${username}`),
      ...(groups.length > 0 && { "cognito:groups": groups }),
      iss: issuerOf(userPoolId),
      version: 2,
      client_id: clientId,
      origin_jti: this.#newId(),
      event_id: this.#newId(),
      token_use: "access",
      scope: scopes.join(" "),
      auth_time: now,
      exp: now + request.lifetimeSeconds,
      iat: now,
      jti: this.#newId(),
      username,
    })
      .setProtectedHeader({ kid: this.#key.jwk.kid, alg: "RS256" })
      .sign(this.#key.privateKey);
  }

  /**
   * Serves `/<poolId>/.well-known/jwks.json` and `openid-configuration`. Returns false for other requests.
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const [, id = "", document] =
      request.url?.match(/^\/([^/?]+)\/\.well-known\/(jwks\.json|openid-configuration)(?:\?|$)/) ?? [];
    if (request.method !== "GET" || document === undefined || !this.#pools.has(id)) return false;
    const body = document === "jwks.json" ? { keys: [this.#key.jwk] } : discovery(id);
    response.writeHead(200, { "content-type": "application/json", "cache-control": "public, max-age=86400" });
    response.end(JSON.stringify(body));
    return true;
  }
}

function discovery(userPoolId: string): object {
  const issuer = issuerOf(userPoolId);
  return {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    id_token_signing_alg_values_supported: ["RS256"],
    subject_types_supported: ["public"],
  };
}

/** Gives a user the same subject at every start. */
function uuidFrom(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ];
  return groups.join("-");
}

function notFound(what: string): AwsError {
  return new AwsError("ResourceNotFoundException", `${what} does not exist.`);
}
