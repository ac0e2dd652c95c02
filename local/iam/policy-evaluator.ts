import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import {
  ACCOUNT_ID,
  type AccessRequest,
  type Authorizer,
  type Caller,
  type PolicyDocument,
  REGION,
} from "../core/service.ts";
import { RequestContext } from "./condition-keys.ts";
import { type CompiledStatement, compilePolicy, type Principals } from "./policy-document.ts";

/**
 * How far a statement's principals reach a caller: `account` hands the decision to the caller's identity
 * policies.
 */
type Reach = "none" | "direct" | "account";

/** The result of one policy's statements for a request. */
interface Verdict {
  denied: boolean;
  allowed: boolean;
  /** The allowing statement names the account, so the identity policies must also allow the request. */
  delegated: boolean;
}

/**
 * Decides as IAM does within one account: any explicit deny wins, a session policy restricts, and otherwise
 * the identity policies or the resource policy must allow. For KMS keys and trust policies the resource
 * policy must always allow, directly or by naming the account. An unknown operator, key or variable throws
 * `UnsupportedError`, so it never allows.
 */
export class PolicyEvaluator implements Authorizer {
  authorize(caller: Caller, request: AccessRequest): void {
    const context = contextOf(caller, request);
    const resource = resourceVerdict(caller, request, context);
    const identity = identityVerdict(caller, request, context);
    const session = sessionVerdict(caller, request, context);
    const refusal =
      (resource.denied && "with an explicit deny in a resource-based policy") ||
      (identity.denied && "with an explicit deny in an identity-based policy") ||
      (session.denied && "with an explicit deny in a session policy") ||
      (!session.allowed && "because no session policy allows it") ||
      missingGrant(caller, request, resource, identity);
    if (refusal) throw accessDenied(caller, request, refusal);
  }
}

function resourceVerdict(caller: Caller, request: AccessRequest, context: RequestContext): Verdict {
  const verdict: Verdict = { denied: false, allowed: false, delegated: false };
  for (const statement of request.resourcePolicy ? compilePolicy(request.resourcePolicy) : []) {
    if (!statement.principals) throw new UnsupportedError("a resource policy statement without Principal");
    const reach = reachOf(statement.principals, caller, statement.allow);
    if (reach === "none" || !applies(statement, request, context)) continue;
    if (!statement.allow) verdict.denied = true;
    else if (reach === "direct") verdict.allowed = true;
    else verdict.delegated = true;
  }
  return verdict;
}

function missingGrant(
  caller: Caller,
  request: AccessRequest,
  resource: Verdict,
  identity: Verdict,
): string | undefined {
  if (resource.allowed) return undefined;
  if (caller.kind === "service") return "because no resource-based policy allows it";
  if (policyOfResourceRules(request.action) && !resource.delegated) {
    return "because no resource-based policy allows it";
  }
  return identity.allowed ? undefined : "because no identity-based policy allows it";
}

/**
 * A KMS key or role is controlled by its own policy. IAM policies count only if that policy delegates to the
 * account.
 */
function policyOfResourceRules(action: string): boolean {
  return /^kms:/i.test(action) || /^sts:AssumeRole$/i.test(action);
}

function identityVerdict(caller: Caller, request: AccessRequest, context: RequestContext): Verdict {
  return caller.kind === "service" ? NOTHING_SAID : judge(caller.policies, request, context);
}

function sessionVerdict(caller: Caller, request: AccessRequest, context: RequestContext): Verdict {
  if (caller.kind === "service" || !caller.sessionPolicy) return { ...NOTHING_SAID, allowed: true };
  return judge([caller.sessionPolicy], request, context);
}

const NOTHING_SAID: Verdict = { denied: false, allowed: false, delegated: false };

function judge(
  policies: readonly PolicyDocument[],
  request: AccessRequest,
  context: RequestContext,
): Verdict {
  const applying = policies
    .flatMap((policy) => compilePolicy(policy))
    .filter((statement) => {
      if (statement.principals) throw new UnsupportedError("a Principal in an identity or session policy");
      return applies(statement, request, context);
    });
  return {
    denied: applying.some((statement) => !statement.allow),
    allowed: applying.some((statement) => statement.allow),
    delegated: false,
  };
}

function applies(statement: CompiledStatement, request: AccessRequest, context: RequestContext): boolean {
  return (
    statement.coversAction(request.action) &&
    statement.coversResource(request.resource, context) &&
    statement.conditions.every((holds) => holds(context))
  );
}

function reachOf(principals: Principals, caller: Caller, allow: boolean): Reach {
  if (caller.kind === "service") {
    // An anonymous grant does not apply to AWS services. An anonymous deny does.
    const reached = principals.services.includes(caller.service) || (principals.everyone && !allow);
    return reached ? "direct" : "none";
  }
  if (principals.everyone) return "direct";
  if (principals.aws.includes(caller.roleArn) || principals.aws.includes(caller.arn)) return "direct";
  return principals.aws.some((arn) => ACCOUNT_PRINCIPALS.has(arn)) ? "account" : "none";
}
const ACCOUNT_PRINCIPALS = new Set([ACCOUNT_ID, `arn:aws:iam::${ACCOUNT_ID}:root`]);

function contextOf(caller: Caller, request: AccessRequest): RequestContext {
  const common = {
    "aws:RequestedRegion": REGION,
    "aws:ResourceAccount": ACCOUNT_ID,
    // Calls inside the embedded cloud never leave its process. The gateway sets it for calls from outside.
    "aws:SecureTransport": "true",
  };
  if (caller.kind === "service") {
    const source = {
      "aws:PrincipalIsAWSService": "true",
      "aws:PrincipalServiceName": caller.service,
      ...sourceKeys(caller.sourceArn),
    };
    return new RequestContext(common, request.context, source);
  }
  const principal = {
    "aws:PrincipalAccount": ACCOUNT_ID,
    "aws:PrincipalArn": caller.roleArn,
    "aws:PrincipalIsAWSService": "false",
  };
  return new RequestContext(common, request.context, caller.context, principal);
}

/** The condition keys for the resource that a service acts for. Some ARNs (S3's) do not name the account. */
function sourceKeys(sourceArn: string): Record<string, string> {
  if (sourceArn === "") return {};
  return { "aws:SourceArn": sourceArn, "aws:SourceAccount": sourceArn.split(":")[4] || ACCOUNT_ID };
}

function accessDenied(caller: Caller, request: AccessRequest, reason: string): AwsError {
  const who = caller.kind === "session" ? caller.arn : `${caller.service} for ${caller.sourceArn}`;
  return new AwsError(
    "AccessDeniedException",
    `User: ${who} is not authorized to perform: ${request.action} on resource: ${request.resource} ${reason}`,
    // The JSON services of AWS answer 400; S3 and STS render it as 403.
    400,
  );
}
