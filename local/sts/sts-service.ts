import { createHash } from "node:crypto";
import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import {
  element,
  parseQuery,
  queryErrorResponse,
  queryResponse,
  readQueryCall,
} from "../core/query-protocol.ts";
import {
  ACCOUNT_ID,
  type Caller,
  type PolicyDocument,
  type Service,
  type ServiceRequest,
  type ServiceResponse,
  type SessionCaller,
} from "../core/service.ts";
import { compilePolicy } from "../iam/policy-document.ts";
import type { RoleRegistry } from "../iam/role-registry.ts";

const AssumeRole = z.strictObject({
  RoleArn: z.string().min(20).max(2048),
  RoleSessionName: z.string().regex(/^[\w+=,.@-]{2,64}$/),
  DurationSeconds: z.coerce.number().int().min(900).max(43_200).default(3600),
  Policy: z.string().max(2048).optional(),
  ExternalId: z.string().min(2).max(1224).optional(),
});

/** Every caller has already assumed a role, so every further role is chained. */
const CHAINED_SESSION_SECONDS = 3600;

/** AWS STS over the query protocol: `AssumeRole` (trust policy, session policy) and `GetCallerIdentity`. */
export class StsService implements Service {
  readonly name = "sts";
  readonly #roles: RoleRegistry;

  constructor(roles: RoleRegistry) {
    this.#roles = roles;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const { action, input } = await readQueryCall(request);
    switch (action) {
      case "AssumeRole":
        return queryResponse(NAMESPACE, "AssumeRole", this.#assumeRole(sessionOf(request.caller), input));
      case "GetCallerIdentity":
        return queryResponse(NAMESPACE, "GetCallerIdentity", callerIdentity(sessionOf(request.caller)));
      default:
        throw new UnsupportedError(`the STS action ${action}`);
    }
  }

  renderError(error: unknown): ServiceResponse {
    return queryErrorResponse(NAMESPACE, error, QUERY_CODES);
  }

  async close(): Promise<void> {}

  #assumeRole(caller: SessionCaller, input: Record<string, string>): string {
    const { RoleArn, RoleSessionName, DurationSeconds, Policy, ExternalId } = parseQuery(input, AssumeRole, {
      action: "AssumeRole",
      code: "ValidationError",
    });
    const session = this.#roles.assumeForSession(caller, RoleArn, {
      sessionName: RoleSessionName,
      ...(Policy !== undefined && { sessionPolicy: parseSessionPolicy(Policy) }),
      ...(ExternalId !== undefined && { context: { "sts:ExternalId": ExternalId } }),
    });
    const longest = Math.min(this.#roles.get(RoleArn).maxSessionSeconds, CHAINED_SESSION_SECONDS);
    if (DurationSeconds > longest) {
      throw new AwsError(
        "ValidationError",
        `DurationSeconds ${DurationSeconds} exceeds ${longest}: the role's maximum, or 1 hour for roles assumed by role chaining`,
      );
    }
    const credentials = this.#roles.issueCredentials(session, DurationSeconds);
    return (
      element(
        "AssumedRoleUser",
        element("AssumedRoleId", userId(session)) + element("Arn", session.arn),
        "raw",
      ) +
      element(
        "Credentials",
        element("AccessKeyId", credentials.accessKeyId) +
          element("SecretAccessKey", credentials.secretAccessKey) +
          element("SessionToken", credentials.sessionToken) +
          element("Expiration", new Date(credentials.expiresAt).toISOString()),
        "raw",
      )
    );
  }
}

function parseSessionPolicy(text: string): PolicyDocument {
  try {
    const document = JSON.parse(text) as PolicyDocument;
    if (compilePolicy(document).some((statement) => statement.principals)) {
      throw new UnsupportedError("a Principal in a session policy");
    }
    return document;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AwsError("MalformedPolicyDocument", reason, 400, { cause });
  }
}

function callerIdentity(caller: SessionCaller): string {
  return element("Arn", caller.arn) + element("UserId", userId(caller)) + element("Account", ACCOUNT_ID);
}

function sessionOf(caller: Caller): SessionCaller {
  if (caller.kind === "session") return caller;
  throw new AwsError("AccessDeniedException", `${caller.service} cannot call STS`);
}

function userId({ roleArn, sessionName }: SessionCaller): string {
  const roleId = createHash("sha256").update(roleArn).digest("hex").slice(0, 17).toUpperCase();
  return `AROA${roleId}:${sessionName}`;
}

/** Error codes that differ between the query protocol and the JSON services. */
const QUERY_CODES = new Map<string, readonly [string, number]>([
  ["AccessDeniedException", ["AccessDenied", 403]],
  ["UnrecognizedClientException", ["InvalidClientTokenId", 403]],
  ["ExpiredTokenException", ["ExpiredToken", 403]],
  ["InvalidSignatureException", ["SignatureDoesNotMatch", 403]],
]);

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";
