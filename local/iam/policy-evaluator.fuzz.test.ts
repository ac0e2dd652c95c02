import fc from "fast-check";
import { test } from "vitest";
import { ACCOUNT_ID, type AccessRequest, type PolicyStatement, type SessionCaller } from "../core/service.ts";
import { globMatches } from "./glob.ts";
import { PolicyEvaluator } from "./policy-evaluator.ts";

const evaluator = new PolicyEvaluator();

const actions = fc.constantFrom("s3:GetObject", "s3:PutObject", "dynamodb:PutItem", "kms:Decrypt");
const resources = fc.constantFrom("arn:aws:s3:::a/1", "arn:aws:s3:::a/2", "arn:aws:s3:::b/1", "*");
const condition = fc.constantFrom<PolicyStatement["Condition"]>(
  undefined,
  { StringEquals: { "s3:prefix": "a" } },
  { StringNotLike: { "s3:prefix": "a*" } },
  { Null: { "s3:prefix": "true" } },
);
const statement = (effect: fc.Arbitrary<"Allow" | "Deny">): fc.Arbitrary<PolicyStatement> =>
  fc
    .record({
      Effect: effect,
      Action: fc.oneof(actions, fc.constantFrom("*", "s3:*", "*:Put?*")),
      Resource: fc.oneof(resources, fc.constantFrom("arn:aws:s3:::a/*", "arn:aws:s3:::?/1")),
      Condition: condition,
    })
    .map(({ Condition, ...rest }) => ({ ...rest, ...(Condition && { Condition }) }));
const statements = fc.array(statement(fc.constantFrom("Allow", "Deny")), { maxLength: 6 });
const request: fc.Arbitrary<AccessRequest> = fc
  .record({ action: actions, resource: resources, prefix: fc.constantFrom(undefined, "a", "ab", "b") })
  .map(({ action, resource, prefix }) => ({
    action,
    resource,
    ...(prefix && { context: { "s3:prefix": prefix } }),
  }));

function caller(identity: PolicyStatement[], narrowing?: PolicyStatement[]): SessionCaller {
  return {
    kind: "session",
    arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/r/s`,
    roleArn: `arn:aws:iam::${ACCOUNT_ID}:role/r`,
    sessionName: "s",
    policies: [{ Version: "2012-10-17", Statement: identity }],
    ...(narrowing && { sessionPolicy: { Version: "2012-10-17", Statement: narrowing } }),
    context: {},
  };
}

function allows(who: SessionCaller, what: AccessRequest): boolean {
  try {
    evaluator.authorize(who, what);
    return true;
  } catch {
    return false;
  }
}

test("a deny that covers the request is never overridden, wherever it stands", () => {
  fc.assert(
    fc.property(statements, request, fc.nat(), (given, what, at) => {
      const denial: PolicyStatement = { Effect: "Deny", Action: what.action, Resource: what.resource };
      const position = at % (given.length + 1);
      return !allows(caller([...given.slice(0, position), denial, ...given.slice(position)]), what);
    }),
  );
});

test("adding a deny never widens what is allowed", () => {
  fc.assert(
    fc.property(statements, statement(fc.constant("Deny")), request, (given, denial, what) => {
      return allows(caller(given), what) || !allows(caller([...given, denial]), what);
    }),
  );
});

test("a session policy never widens what is allowed", () => {
  fc.assert(
    fc.property(statements, statements, request, (given, narrowing, what) => {
      return allows(caller(given), what) || !allows(caller(given, narrowing), what);
    }),
  );
});

test("the order of statements does not matter", () => {
  fc.assert(
    fc.property(statements, request, (given, what) => {
      return allows(caller(given), what) === allows(caller(given.toReversed()), what);
    }),
  );
});

test("a pattern without wildcards matches only itself, and with a star before and after it any text that contains it", () => {
  const plain = fc.string().filter((text) => !/[*?]/.test(text));
  fc.assert(
    fc.property(plain, plain, plain, (text, before, after) => {
      return (
        globMatches(text, before) === (text === before) &&
        globMatches(`*${text}*`, `${before}${text}${after}`)
      );
    }),
  );
});
