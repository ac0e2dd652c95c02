import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { type Clock, REGION, type ServiceRequest, type SessionCaller } from "../core/service.ts";
import { readAll, UNSIGNED_PAYLOAD } from "./body.ts";
import { type Authorization, parseAuthorization, sha256, signingKey, verifySignature } from "./sigv4.ts";

/** Looks up sessions. Throws an `AwsError` for unknown or expired keys. */
export interface SessionLookup {
  authenticate(accessKeyId: string, sessionToken: string): { caller: SessionCaller; secretAccessKey: string };
}

/** Who sent a signed request, for which service, and what that service needs to handle it. */
export interface Authenticated {
  caller: SessionCaller;
  /** The SigV4 signing name. */
  service: string;
  signature: ServiceRequest["signature"];
  /** The body, if it was read to check its hash. Otherwise it is still in the request's stream. */
  body?: Buffer;
}

const MAX_SKEW_MS = 5 * 60_000;

/** Services whose bodies are bound to the signature by `x-amz-content-sha256`, so that they can stream. */
const STREAMING_SERVICES = ["s3"];

/** Verifies SigV4 requests that are signed in their headers with the temporary credentials of a session. */
export class Authenticator {
  readonly #sessions: SessionLookup;
  readonly #clock: Clock;
  readonly #bodyLimitBytes: number;

  constructor(options: { sessions: SessionLookup; clock: Clock; bodyLimitBytes: number }) {
    this.#sessions = options.sessions;
    this.#clock = options.clock;
    this.#bodyLimitBytes = options.bodyLimitBytes;
  }

  /**
   * Rejects with an `AwsError` that says what is wrong with the signature. Reads the body only if the client
   * did not send its hash.
   */
  async authenticate(request: IncomingMessage): Promise<Authenticated> {
    const authorization = parseAuthorization(request.headers.authorization ?? "");
    const date = this.#checkDate(header(request, "x-amz-date") ?? "", authorization);
    checkScope(authorization);
    checkSignedHeaders(request, authorization);
    const { accessKeyId } = authorization;
    const token = header(request, "x-amz-security-token");
    if (token === undefined) {
      throw new AwsError(
        "UnrecognizedClientException",
        "The request has no security token: the embedded cloud knows temporary credentials only.",
        403,
      );
    }
    const { caller, secretAccessKey } = this.#sessions.authenticate(accessKeyId, token);
    const declaredHash = header(request, "x-amz-content-sha256");
    if (declaredHash !== undefined) checkDeclaredHash(declaredHash, authorization.service);
    const body = declaredHash === undefined ? await readAll(request, this.#bodyLimitBytes) : undefined;
    const payloadHash = declaredHash ?? sha256(body ?? "");
    const key = signingKey(secretAccessKey, authorization);
    const signable = {
      method: request.method ?? "GET",
      target: request.url ?? "/",
      headers: request.headersDistinct,
    };
    verifySignature(signable, authorization, { key, date, payloadHash });
    return {
      caller: { ...caller, context: { ...caller.context, "aws:SecureTransport": String(isSecure(request)) } },
      service: authorization.service,
      signature: { seed: authorization.signature, key, scope: authorization.scope, date, payloadHash },
      ...(body && { body }),
    };
  }

  #checkDate(date: string, { day }: Authorization): string {
    const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
    const skew = Math.abs(Date.parse(iso) - this.#clock.now());
    if (iso === date || Number.isNaN(skew) || !date.startsWith(day)) {
      throw new AwsError("IncompleteSignatureException", "X-Amz-Date does not fit the credential scope", 403);
    }
    if (skew <= MAX_SKEW_MS) return date;
    throw new AwsError("RequestTimeTooSkewed", `X-Amz-Date ${date} is more than 5 minutes off`, 403);
  }
}

function checkScope({ region, service }: Authorization): void {
  if (region === REGION) return;
  throw new AwsError(
    "InvalidSignatureException",
    `Credential should be scoped to the region ${REGION}, not ${region} (service ${service})`,
    403,
  );
}

/** The signature must cover every header that changes the meaning of a request. */
function checkSignedHeaders(request: IncomingMessage, { signedHeaders }: Authorization): void {
  const needed = Object.keys(request.headers).filter((name) => name === "host" || name.startsWith("x-amz-"));
  const missing = needed.filter((name) => !signedHeaders.includes(name));
  if (missing.length === 0 && signedHeaders.includes("host")) return;
  throw new AwsError(
    "InvalidSignatureException",
    `There were headers present in the request which were not signed: ${missing.join(", ")}`,
    403,
  );
}

function checkDeclaredHash(hash: string, service: string): void {
  if (/^[0-9a-f]{64}$/.test(hash)) return;
  const streams = hash === UNSIGNED_PAYLOAD || hash.startsWith("STREAMING-");
  if (streams && STREAMING_SERVICES.includes(service)) return;
  throw new UnsupportedError(`the payload hash ${hash} for the service ${service}`);
}

/**
 * True for TLS and for a connection that never leaves the machine. Anyone who can listen there can also read
 * the process itself.
 */
function isSecure({ socket }: IncomingMessage): boolean {
  if (socket instanceof TLSSocket) return true;
  const { remoteAddress = "", localAddress } = socket;
  return remoteAddress === localAddress || remoteAddress === "::1" || /^(::ffff:)?127\./.test(remoteAddress);
}

function header(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name];
  if (values === undefined) return undefined;
  const [value] = values;
  if (value === undefined || values.length > 1) {
    throw new AwsError("IncompleteSignatureException", `the header ${name} must appear once`, 403);
  }
  return value;
}
