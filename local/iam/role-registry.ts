import { AwsError } from "../core/aws-error.ts";
import {
  ACCOUNT_ID,
  type AssumeOptions,
  type Authorizer,
  type Credentials,
  type PolicyDocument,
  type Roles,
  type ServiceCaller,
  type SessionCaller,
} from "../core/service.ts";
import type { SessionStore } from "./session-store.ts";

/** A role as the templates declare it. */
export interface Role {
  name: string;
  arn: string;
  trustPolicy: PolicyDocument;
  maxSessionSeconds: number;
  /**
   * Inline and managed policies. The list is live: policies attached later also apply to existing sessions.
   */
  policies: PolicyDocument[];
}

/** How a session was created, apart from its role. */
export interface SessionOptions extends AssumeOptions {
  sessionPolicy?: PolicyDocument;
}

/**
 * The templates' roles, who may assume them, and their sessions' credentials. Roles exist as long as the
 * process.
 */
export class RoleRegistry implements Roles {
  readonly #roles = new Map<string, Role>();
  readonly #authorizer: Authorizer;
  readonly #sessions: SessionStore;

  constructor(options: { authorizer: Authorizer; sessions: SessionStore }) {
    this.#authorizer = options.authorizer;
    this.#sessions = options.sessions;
  }

  /** Declares a role. Role names are unique. */
  add(role: Role): void {
    const taken = [...this.#roles.values()].some(({ name }) => name === role.name);
    if (taken) throw new AwsError("EntityAlreadyExists", `Role with name ${role.name} already exists.`, 409);
    this.#roles.set(role.arn, role);
  }

  /** The role with this ARN; throws `NoSuchEntity` if there is none. */
  get(arn: string): Role {
    const role = this.#roles.get(arn);
    if (!role) throw new AwsError("NoSuchEntity", `The role ${arn} cannot be found.`, 404);
    return role;
  }

  /** The role with this name; throws `NoSuchEntity` if there is none. */
  named(name: string): Role {
    const role = [...this.#roles.values()].find((candidate) => candidate.name === name);
    if (!role) throw new AwsError("NoSuchEntity", `The role with name ${name} cannot be found.`, 404);
    return role;
  }

  assumeForService(roleArn: string, service: string, options: AssumeOptions): SessionCaller {
    const role = this.get(roleArn);
    const sourceArn = options.context?.["aws:SourceArn"] ?? "";
    const caller: ServiceCaller = { kind: "service", service, sourceArn };
    this.#authorizer.authorize(caller, assumeRequest(role, options));
    return sessionOf(role, options);
  }

  /**
   * Creates a session of the role for another session. The trust policy must allow it. If that policy
   * delegates to the account, the caller's own policies must allow it too.
   */
  assumeForSession(caller: SessionCaller, roleArn: string, options: SessionOptions): SessionCaller {
    const role = this.#roles.get(roleArn);
    // As on AWS, an unknown role is refused like one that the caller may not assume, so callers cannot probe
    // for names.
    if (!role) throw notAuthorizedToAssume(caller, roleArn);
    this.#authorizer.authorize(caller, assumeRequest(role, options));
    return sessionOf(role, options);
  }

  issueCredentials(session: SessionCaller, durationSeconds: number): Credentials {
    return this.#sessions.issue(session, durationSeconds);
  }

  /**
   * Returns the session and secret of an access key. Throws an `AwsError` if the keys are unknown or expired,
   * or if their role no longer exists.
   */
  authenticate(
    accessKeyId: string,
    sessionToken: string,
  ): { caller: SessionCaller; secretAccessKey: string } {
    const stored = this.#sessions.find(accessKeyId, sessionToken);
    const role = this.#roles.get(stored.roleArn);
    if (!role) throw new AwsError("UnrecognizedClientException", `The role ${stored.roleArn} is gone.`, 403);
    return { caller: sessionOf(role, stored), secretAccessKey: stored.secretAccessKey };
  }
}

function assumeRequest(role: Role, { sessionName, context }: SessionOptions) {
  return {
    action: "sts:AssumeRole",
    resource: role.arn,
    resourcePolicy: role.trustPolicy,
    context: { ...context, "sts:RoleSessionName": sessionName },
  };
}

function sessionOf(role: Role, options: SessionOptions): SessionCaller {
  const { sessionName, sessionPolicy, context } = options;
  return {
    kind: "session",
    arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/${role.name}/${sessionName}`,
    roleArn: role.arn,
    sessionName,
    policies: role.policies,
    ...(sessionPolicy && { sessionPolicy }),
    context: lastingContext(context),
  };
}

/**
 * The context keys that a session keeps after it was assumed. Others, such as `aws:SourceArn`, were only for
 * the trust policy. If kept, they would let the session pose as the service that assumed it.
 */
function lastingContext(context: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(context).filter(([key]) => key.startsWith("credentials-iot:")));
}

function notAuthorizedToAssume(caller: SessionCaller, roleArn: string): AwsError {
  return new AwsError(
    "AccessDeniedException",
    `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`,
  );
}
