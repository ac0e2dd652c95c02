import { expect, test } from "vitest";
import { ManualClock } from "../core/clock.ts";
import { Policies } from "./policies.ts";
import { IotResources } from "./resources.ts";
import { Rules } from "./rules.ts";

function provision(type: string, properties: Record<string, unknown>) {
  const policies = new Policies();
  const rules = new Rules({
    clock: new ManualClock(),
    log: () => {},
    lambda: { invoke: () => Promise.reject(new Error("not used")), enqueue: () => {} },
  });
  return new IotResources({ policies, rules }).provision({
    type,
    properties,
    stack: "stack",
    logicalId: "Thing",
    generatedName: "stack-thing-1a2b",
  });
}

const RULE = {
  Sql: "SELECT * FROM 'a'",
  AwsIotSqlVersion: "2016-03-23",
  Actions: [{ Lambda: { FunctionArn: "arn" } }],
};
const STATEMENT = { Effect: "Allow", Action: "iot:Connect", Resource: "*" };
const policy = (statement: Record<string, unknown>) => ({
  PolicyDocument: { Version: "2012-10-17", Statement: [{ ...STATEMENT, ...statement }] },
});

test("a resource without a name gets a generated one, reduced to the characters that AWS allows", async () => {
  expect(await provision("AWS::IoT::TopicRule", { TopicRulePayload: RULE })).toEqual({
    ref: "stack_thing_1a2b",
    attributes: { Arn: "arn:aws:iot:local-1:000000000000:rule/stack_thing_1a2b" },
  });
  expect(await provision("AWS::IoT::Policy", policy({}))).toEqual({
    ref: "stack-thing-1a2b",
    attributes: { Arn: "arn:aws:iot:local-1:000000000000:policy/stack-thing-1a2b", Id: "stack-thing-1a2b" },
  });
  expect(
    await provision("AWS::IoT::RoleAlias", { RoleArn: "arn", CredentialDurationSeconds: "900" }),
  ).toEqual({
    ref: "stack-thing-1a2b",
    attributes: { RoleAliasArn: "arn:aws:iot:local-1:000000000000:rolealias/stack-thing-1a2b" },
  });
});

test.each([
  [
    "AWS::IoT::TopicRule",
    { TopicRulePayload: { ...RULE, AwsIotSqlVersion: "2015-10-08" } },
    "AwsIotSqlVersion",
  ],
  ["AWS::IoT::TopicRule", { TopicRulePayload: { ...RULE, AwsIotSqlVersion: undefined } }, "AwsIotSqlVersion"],
  ["AWS::IoT::TopicRule", { TopicRulePayload: { ...RULE, Actions: [{ Sqs: {} }] } }, "Sqs"],
  ["AWS::IoT::TopicRule", { TopicRulePayload: { ...RULE, Sql: "SELECT" } }, "expected a value"],
  ["AWS::IoT::TopicRule", { TopicRulePayload: RULE, Extra: 1 }, "Extra"],
  ["AWS::IoT::Policy", policy({ Action: "iot:UpdateThingShadow" }), "iot:UpdateThingShadow"],
  ["AWS::IoT::Policy", policy({ NotResource: "*" }), "NotResource"],
  [
    "AWS::IoT::Policy",
    policy({ Resource: `client/$\{iot:Certificate.Issuer.CommonName}` }),
    "unknown variable",
  ],
  [
    "AWS::IoT::Policy",
    policy({ Condition: { Bool: { "aws:SecureTransport": "true" } } }),
    "aws:SecureTransport",
  ],
  ["AWS::IoT::RoleAlias", { RoleArn: "arn", CredentialDurationSeconds: 60 }, "CredentialDurationSeconds"],
  ["AWS::IoT::Thing", {}, "AWS::IoT::Thing"],
])("%s with %j is refused, naming %s", async (type, properties, named) => {
  await expect(provision(type, properties)).rejects.toThrow(named);
});
