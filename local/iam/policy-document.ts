import * as z from "zod";
import { UnsupportedError } from "../core/aws-error.ts";
import type { PolicyDocument } from "../core/service.ts";
import type { RequestContext } from "./condition-keys.ts";
import { type Condition, compileConditions } from "./conditions.ts";
import { globExpression } from "./glob.ts";
import { VariableText } from "./policy-variables.ts";

const Texts = z.union([z.string(), z.array(z.string())]);
const ConditionValue = z.union([z.string(), z.array(z.string()), z.boolean(), z.number()]);

const Statement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(["Allow", "Deny"]),
  Principal: z.union([z.literal("*"), z.record(z.string(), Texts)]).optional(),
  Action: Texts.optional(),
  NotAction: Texts.optional(),
  Resource: Texts.optional(),
  NotResource: Texts.optional(),
  Condition: z.record(z.string(), z.record(z.string(), ConditionValue)).optional(),
});

/**
 * A policy document in the grammar that the embedded cloud can judge; anything else (such as `NotPrincipal`)
 * does not parse.
 */
export const PolicyDocumentSchema = z.strictObject({
  Version: z.string().optional(),
  Id: z.string().optional(),
  Statement: z.union([Statement, z.array(Statement)]),
});

/** A statement that can be evaluated for requests. */
export interface CompiledStatement {
  allow: boolean;
  principals: Principals | undefined;
  coversAction(action: string): boolean;
  coversResource(resource: string, context: RequestContext): boolean;
  conditions: readonly Condition[];
}

/** The principals in a statement of a resource policy. */
export interface Principals {
  everyone: boolean;
  aws: readonly string[];
  services: readonly string[];
}

const compiled = new WeakMap<object, readonly CompiledStatement[]>();

/**
 * The document's statements. Throws `UnsupportedError` for anything that the embedded cloud cannot evaluate,
 * so that nothing is skipped.
 */
export function compilePolicy(document: PolicyDocument): readonly CompiledStatement[] {
  const known = compiled.get(document);
  if (known) return known;
  const parsed = PolicyDocumentSchema.safeParse(document);
  if (!parsed.success) throw new UnsupportedError(`this policy document (${z.prettifyError(parsed.error)})`);
  const { Version, Statement: statements } = parsed.data;
  const fresh = [statements].flat().map((statement) => compileStatement(statement, Version));
  compiled.set(document, fresh);
  return fresh;
}

function compileStatement(
  statement: z.output<typeof Statement>,
  version: string | undefined,
): CompiledStatement {
  const { Action, NotAction, Resource, NotResource } = statement;
  if ((Action === undefined) === (NotAction === undefined)) {
    throw new UnsupportedError("a policy statement without exactly one of Action and NotAction");
  }
  if (Resource !== undefined && NotResource !== undefined) {
    throw new UnsupportedError("a policy statement with both Resource and NotResource");
  }
  const actions = [Action ?? NotAction ?? []].flat().map((pattern) => globExpression(pattern, "i"));
  return {
    allow: statement.Effect === "Allow",
    principals: compilePrincipals(statement.Principal),
    coversAction: (action) => actions.some((pattern) => pattern.test(action)) !== (NotAction !== undefined),
    coversResource: compileResources(Resource ?? NotResource, NotResource !== undefined, version),
    conditions: compileConditions(statement.Condition, version),
  };
}

function compileResources(
  resources: string | string[] | undefined,
  negated: boolean,
  version: string | undefined,
): CompiledStatement["coversResource"] {
  // A trust policy has no Resource because it belongs to the role itself.
  if (resources === undefined) return () => true;
  const tests = [resources].flat().map((resource) => {
    const text = new VariableText(resource, version);
    if (!text.constant) {
      return (arn: string, context: RequestContext) => globExpression(text.pattern(context)).test(arn);
    }
    const pattern = globExpression(resource);
    return (arn: string) => pattern.test(arn);
  });
  return (arn, context) => {
    // Run every test, so that a match does not hide another test that cannot be resolved.
    const matches = tests.map((test) => test(arn, context));
    return matches.includes(true) !== negated;
  };
}

function compilePrincipals(principal: z.output<typeof Statement>["Principal"]): Principals | undefined {
  if (principal === undefined) return undefined;
  if (principal === "*") return { everyone: true, aws: [], services: [] };
  const unknown = Object.keys(principal).filter((kind) => kind !== "AWS" && kind !== "Service");
  if (unknown.length > 0) throw new UnsupportedError(`a policy with ${unknown.join(", ")} principals`);
  const aws = [principal.AWS ?? []].flat();
  const partial = aws.find((arn) => arn !== "*" && /[*?]|\$\{/.test(arn));
  if (partial !== undefined) throw new UnsupportedError(`the wildcard principal ${partial}`);
  return { everyone: aws.includes("*"), aws, services: [principal.Service ?? []].flat() };
}
