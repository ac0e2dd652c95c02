// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policies and templates are written so.
import { expect, test } from "vitest";
import {
  ACCOUNT_ID,
  type AccessRequest,
  type Caller,
  type PolicyStatement,
  type ServiceCaller,
  type SessionCaller,
} from "../core/service.ts";
import { PolicyEvaluator } from "./policy-evaluator.ts";

const evaluator = new PolicyEvaluator();
const roleArn = `arn:aws:iam::${ACCOUNT_ID}:role/agent`;
const root = `arn:aws:iam::${ACCOUNT_ID}:root`;
const rule: ServiceCaller = {
  kind: "service",
  service: "iot.amazonaws.com",
  sourceArn: `arn:aws:iot:local-1:${ACCOUNT_ID}:rule/progress`,
};

function session(...statements: PolicyStatement[]): SessionCaller {
  return {
    kind: "session",
    arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/agent/web-1`,
    roleArn,
    sessionName: "web-1",
    policies: [{ Version: "2012-10-17", Statement: statements }],
    context: { "credentials-iot:ThingName": "web-1" },
  };
}

function decision(caller: Caller, request: AccessRequest): "allowed" | "denied" {
  try {
    evaluator.authorize(caller, request);
    return "allowed";
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "AccessDeniedException") return "denied";
    throw error;
  }
}

const get: AccessRequest = { action: "s3:GetObject", resource: "arn:aws:s3:::data/servers/web-1/pack" };
const allow = (extra: Partial<PolicyStatement> = {}): PolicyStatement => ({
  Effect: "Allow",
  Action: "s3:GetObject",
  Resource: "*",
  ...extra,
});
const deny = (extra: Partial<PolicyStatement> = {}): PolicyStatement => ({ ...allow(extra), Effect: "Deny" });

test.each<[string, PolicyStatement[], "allowed" | "denied"]>([
  ["nothing", [], "denied"],
  ["the exact action and resource", [allow({ Resource: get.resource })], "allowed"],
  ["another action", [allow({ Action: "s3:PutObject" })], "denied"],
  ["an action in another case", [allow({ Action: "S3:getobject" })], "allowed"],
  ["an action wildcard", [allow({ Action: ["s3:List*", "s3:Get*"] })], "allowed"],
  [
    "a question mark for one character",
    [allow({ Resource: "arn:aws:s3:::data/servers/web-?/pack" })],
    "allowed",
  ],
  ["a question mark for no character", [allow({ Resource: `${get.resource}?` })], "denied"],
  ["a resource in another case", [allow({ Resource: get.resource.toUpperCase() })], "denied"],
  [
    "characters that mean something to expressions",
    [allow({ Resource: "arn:aws:s3:::dat./servers/web-1/pack" })],
    "denied",
  ],
  ["a wildcard over slashes", [allow({ Resource: "arn:aws:s3:::data/*" })], "allowed"],
  ["a deny after an allow", [allow(), deny()], "denied"],
  ["a deny of something else", [allow(), deny({ Resource: "arn:aws:s3:::other/*" })], "allowed"],
  [
    "its own prefix by variable",
    [allow({ Resource: "arn:aws:s3:::data/servers/${credentials-iot:ThingName}/*" })],
    "allowed",
  ],
  [
    "the caller's ARN in a condition",
    [allow({ Condition: { ArnEquals: { "aws:PrincipalArn": roleArn } } })],
    "allowed",
  ],
])("identity policy with %s", (_, statements, expected) => {
  expect(decision(session(...statements), get)).toBe(expected);
});

test("NotAction and NotResource cover everything except what they name", () => {
  const others: PolicyStatement = {
    Effect: "Allow",
    NotAction: "s3:Put*",
    NotResource: "arn:aws:s3:::secret/*",
  };
  expect(decision(session(others), get)).toBe("allowed");
  expect(decision(session(others), { ...get, action: "s3:PutObject" })).toBe("denied");
  expect(decision(session(others), { ...get, resource: "arn:aws:s3:::secret/a" })).toBe("denied");
});

test("a wildcard in the value of a variable stays literal", () => {
  const caller = session(allow({ Resource: "arn:aws:s3:::data/servers/${credentials-iot:ThingName}/*" }));
  caller.context["credentials-iot:ThingName"] = "*";
  expect(decision(caller, get)).toBe("denied");
});

test("a variable that the request does not set is an error, for allow and deny alike", () => {
  for (const statement of [allow, deny]) {
    const caller = session(statement({ Resource: "arn:aws:s3:::data/${credentials-iot:ThingTypeName}/*" }));
    expect(() => evaluator.authorize(caller, get)).toThrow(/ThingTypeName/);
  }
});

test.each<[string, Record<string, unknown>]>([
  ["an operator", { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } }],
  ["a misspelt operator", { StringEqual: { "aws:PrincipalArn": roleArn } }],
  ["a key", { StringNotEquals: { "aws:PrincipalOrgID": "o-1" } }],
])("a policy with %s that cannot be judged is an error even beside an allow", (_, condition) => {
  const caller = session(allow(), allow({ Condition: condition as never }));
  expect(() => evaluator.authorize(caller, get)).toThrow(/does not support/);
});

test.each<
  [
    string,
    Record<string, Record<string, string | string[]>>,
    Record<string, string | string[]>,
    "allowed" | "denied",
  ]
>([
  [
    "StringEquals meets one of several",
    { StringEquals: { "s3:prefix": ["a", "b"] } },
    { "s3:prefix": "b" },
    "allowed",
  ],
  [
    "StringEquals takes wildcards literally",
    { StringEquals: { "s3:prefix": "a*" } },
    { "s3:prefix": "ab" },
    "denied",
  ],
  ["StringEquals without the key", { StringEquals: { "s3:prefix": "a" } }, {}, "denied"],
  ["StringEqualsIfExists without the key", { StringEqualsIfExists: { "s3:prefix": "a" } }, {}, "allowed"],
  [
    "StringEqualsIfExists with another value",
    { StringEqualsIfExists: { "s3:prefix": "a" } },
    { "s3:prefix": "b" },
    "denied",
  ],
  ["StringNotEquals without the key", { StringNotEquals: { "s3:prefix": "a" } }, {}, "allowed"],
  [
    "StringNotEquals with one of its values",
    { StringNotEquals: { "s3:prefix": ["a", "b"] } },
    { "s3:prefix": "b" },
    "denied",
  ],
  [
    "StringLike",
    { StringLike: { "s3:prefix": "servers/${credentials-iot:ThingName}/*" } },
    { "s3:prefix": "servers/web-1/packs" },
    "allowed",
  ],
  [
    "StringNotLike",
    { StringNotLike: { "s3:prefix": "servers/*" } },
    { "s3:prefix": "servers/web-1" },
    "denied",
  ],
  [
    "ArnLike within a part",
    { ArnLike: { "aws:SourceArn": "arn:aws:iot:*:*:rule/*" } },
    { "aws:SourceArn": "arn:aws:iot:local-1:0:rule/a" },
    "allowed",
  ],
  [
    "ArnLike across parts",
    { ArnLike: { "aws:SourceArn": "arn:aws:iot:*:rule/*" } },
    { "aws:SourceArn": "arn:aws:iot:local-1:0:rule/a" },
    "denied",
  ],
  [
    "NumericLessThanEquals",
    { NumericLessThanEquals: { "s3:max-keys": "10" } },
    { "s3:max-keys": "10" },
    "allowed",
  ],
  ["NumericGreaterThan", { NumericGreaterThan: { "s3:max-keys": "9" } }, { "s3:max-keys": "10" }, "allowed"],
  ["Null true without the key", { Null: { "s3:prefix": "true" } }, {}, "allowed"],
  ["Null false without the key", { Null: { "s3:prefix": "false" } }, {}, "denied"],
  [
    "ForAnyValue with one match",
    { "ForAnyValue:StringEquals": { "kms:EncryptionContextKeys": ["a"] } },
    { "kms:EncryptionContextKeys": ["a", "b"] },
    "allowed",
  ],
  [
    "ForAnyValue without the key",
    { "ForAnyValue:StringEquals": { "kms:EncryptionContextKeys": ["a"] } },
    {},
    "denied",
  ],
  [
    "ForAllValues with one stranger",
    { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["a"] } },
    { "kms:EncryptionContextKeys": ["a", "b"] },
    "denied",
  ],
  [
    "two keys, one unmet",
    { StringEquals: { "s3:prefix": "a", "s3:delimiter": "/" } },
    { "s3:prefix": "a" },
    "denied",
  ],
  ["key names in another case", { StringEquals: { "S3:Prefix": "a" } }, { "s3:prefix": "a" }, "allowed"],
])("condition: %s", (_, condition, context, expected) => {
  expect(decision(session(allow({ Condition: condition })), { ...get, context })).toBe(expected);
});

test("a plain operator on a key with several values is an error", () => {
  const caller = session(allow({ Condition: { StringEquals: { "kms:EncryptionContextKeys": "a" } } }));
  const context = { "kms:EncryptionContextKeys": ["a", "b"] };
  expect(() => evaluator.authorize(caller, { ...get, context })).toThrow(/several values/);
});

test("a session policy narrows what the role may do and grants nothing itself", () => {
  const sessionPolicy = {
    Version: "2012-10-17",
    Statement: allow({ Resource: "arn:aws:s3:::data/servers/web-1/*" }),
  };
  const everything = { ...session(allow({ Action: "*" })), sessionPolicy };
  expect(decision(everything, get)).toBe("allowed");
  expect(decision(everything, { ...get, resource: "arn:aws:s3:::data/servers/web-2/pack" })).toBe("denied");
  expect(decision({ ...session(), sessionPolicy }, get)).toBe("denied");
});

test("a resource policy allows by itself within the account, and its deny wins over the caller's allow", () => {
  const statement = (Effect: "Allow" | "Deny", AWS: string) => ({
    Statement: { ...allow(), Effect, Principal: { AWS } },
  });
  expect(decision(session(), { ...get, resourcePolicy: statement("Allow", roleArn) })).toBe("allowed");
  expect(decision(session(), { ...get, resourcePolicy: statement("Allow", `${roleArn}2`) })).toBe("denied");
  expect(decision(session(), { ...get, resourcePolicy: statement("Allow", root) })).toBe("denied");
  expect(decision(session(allow()), { ...get, resourcePolicy: statement("Deny", "*") })).toBe("denied");
});

test("a bucket that requires TLS refuses a caller without it", () => {
  const Condition = { Bool: { "aws:SecureTransport": "false" } };
  const resourcePolicy = { Statement: { ...deny({ Condition }), Principal: "*" as const } };
  const caller = session(allow());
  expect(decision(caller, { ...get, resourcePolicy })).toBe("allowed");
  caller.context["aws:SecureTransport"] = "false";
  expect(decision(caller, { ...get, resourcePolicy })).toBe("denied");
});

test("identity policies give access to a key only if the key's policy names the account", () => {
  const decrypt: AccessRequest = { action: "kms:Decrypt", resource: "arn:aws:kms:local-1:0:key/k" };
  const caller = session({ Effect: "Allow", Action: "kms:*", Resource: "*" });
  const keyPolicy = (AWS: string) => ({
    Statement: { Effect: "Allow" as const, Principal: { AWS }, Action: "kms:*", Resource: "*" },
  });
  expect(decision(caller, decrypt)).toBe("denied");
  expect(decision(caller, { ...decrypt, resourcePolicy: keyPolicy(root) })).toBe("allowed");
  expect(decision(session(), { ...decrypt, resourcePolicy: keyPolicy(root) })).toBe("denied");
  expect(decision(session(), { ...decrypt, resourcePolicy: keyPolicy(roleArn) })).toBe("allowed");
});

test("a service is allowed only by a resource policy that names the service and the resource that it acts for", () => {
  const invoke: AccessRequest = {
    action: "lambda:InvokeFunction",
    resource: "arn:aws:lambda:local-1:0:function:f",
  };
  const permission = (SourceArn: string, Service = "iot.amazonaws.com") => ({
    Statement: {
      Effect: "Allow" as const,
      Principal: { Service },
      Action: invoke.action,
      Resource: invoke.resource,
      Condition: {
        ArnLike: { "aws:SourceArn": SourceArn },
        StringEquals: { "aws:SourceAccount": ACCOUNT_ID },
      },
    },
  });
  expect(decision(rule, invoke)).toBe("denied");
  expect(decision(rule, { ...invoke, resourcePolicy: permission(rule.sourceArn) })).toBe("allowed");
  expect(decision(rule, { ...invoke, resourcePolicy: permission(`${rule.sourceArn}2`) })).toBe("denied");
  expect(decision(rule, { ...invoke, resourcePolicy: permission(rule.sourceArn, "s3.amazonaws.com") })).toBe(
    "denied",
  );
  // A caller cannot pass itself off as a service by stating a source.
  const context = { "aws:SourceArn": rule.sourceArn };
  expect(decision(session(), { ...invoke, context, resourcePolicy: permission(rule.sourceArn) })).toBe(
    "denied",
  );
});

test("a refusal names the caller, the action and the resource", () => {
  expect(() => evaluator.authorize(session(), get)).toThrow(
    `User: arn:aws:sts::${ACCOUNT_ID}:assumed-role/agent/web-1 is not authorized to perform: s3:GetObject on resource: ${get.resource}`,
  );
});

test.each<[string, object]>([
  ["NotPrincipal", { Effect: "Allow", NotPrincipal: "*", Action: "*", Resource: "*" }],
  ["no action", { Effect: "Allow", Resource: "*" }],
  ["an unknown effect", { Effect: "allow", Action: "*", Resource: "*" }],
  ["a federated principal", { Effect: "Allow", Principal: { Federated: "x" }, Action: "*", Resource: "*" }],
])("a policy with %s is an error", (_, statement) => {
  const resourcePolicy = { Statement: statement as PolicyStatement };
  expect(() => evaluator.authorize(session(), { ...get, resourcePolicy })).toThrow(/does not support/);
});
