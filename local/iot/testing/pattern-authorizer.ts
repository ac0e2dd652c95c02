import { AwsError } from "#local/core/aws-error.ts";
import type {
  AccessRequest,
  Authorizer,
  Caller,
  PolicyStatement,
  SessionCaller,
} from "#local/core/service.ts";

/** Just enough of a policy evaluator for these tests: wildcards, variables and `Bool`/`StringEquals` conditions. */
export class PatternAuthorizer implements Authorizer {
  authorize(caller: Caller, request: AccessRequest): void {
    if (caller.kind !== "session") throw new Error("only sessions are known here");
    const statements = caller.policies.flatMap((policy) => policy.Statement);
    const hits = statements.filter((statement) => applies(statement, caller, request));
    const allowed = hits.some((hit) => hit.Effect === "Allow") && !hits.some((hit) => hit.Effect === "Deny");
    if (allowed) return;
    const message = `${caller.arn} is not authorized to perform ${request.action} on ${request.resource}`;
    throw new AwsError("AccessDeniedException", message, 403);
  }
}

function applies(statement: PolicyStatement, { context }: SessionCaller, request: AccessRequest): boolean {
  const conditions = Object.values(statement.Condition ?? {}).flatMap((keys) => Object.entries(keys));
  return (
    list(statement.Action).some((pattern) => matches(pattern, request.action, {})) &&
    list(statement.Resource).some((pattern) => matches(pattern, request.resource, context)) &&
    conditions.every(([key, wanted]) =>
      [wanted]
        .flat()
        .map(String)
        .includes(context[key] ?? ""),
    )
  );
}

function matches(pattern: string, value: string, context: Record<string, string>): boolean {
  let resolved = true;
  const source = pattern.replaceAll(/\$\{([^}]+)\}|./gs, (found, variable: string | undefined) => {
    if (variable === undefined) return found === "*" ? ".*" : escape(found);
    resolved &&= context[variable] !== undefined;
    return escape(context[variable] ?? "");
  });
  return resolved && new RegExp(`^${source}$`, "s").test(value);
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*|?+()[\]{}]/g, "\\$&");
}

function list(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : [value].flat();
}
