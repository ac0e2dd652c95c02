import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../core/clock.ts";
import { systemRandomness } from "../core/randomness.ts";
import { ACCOUNT_ID, type PolicyStatement } from "../core/service.ts";
import { IamProvider } from "./iam-providers.ts";
import { PolicyEvaluator } from "./policy-evaluator.ts";
import { RoleRegistry } from "./role-registry.ts";
import { SessionStore } from "./session-store.ts";

let clock: ManualClock;
let sessions: SessionStore;
let roles: RoleRegistry;
let provider: IamProvider;

beforeEach(() => {
  clock = new ManualClock();
  sessions = new SessionStore({ file: ":memory:", clock, randomness: systemRandomness });
  roles = new RoleRegistry({ authorizer: new PolicyEvaluator(), sessions });
  provider = new IamProvider(roles);
});
afterEach(() => sessions.close());

const document = (statement: PolicyStatement) => ({ Version: "2012-10-17", Statement: [statement] });
const provision = (type: string, logicalId: string, properties: Record<string, unknown>) =>
  provider.provision({ type, stack: "Test", logicalId, properties, generatedName: `test-${logicalId}` });

const trusting = (Service: string, Condition?: PolicyStatement["Condition"]) =>
  document({
    Effect: "Allow",
    Principal: { Service },
    Action: "sts:AssumeRole",
    ...(Condition && { Condition }),
  });

async function addRole(name: string, more: Record<string, unknown> = {}): Promise<string> {
  const { attributes } = await provision("AWS::IAM::Role", name, {
    RoleName: name,
    AssumeRolePolicyDocument: trusting("lambda.amazonaws.com"),
    ...more,
  });
  return attributes.Arn ?? "";
}

const read = document({ Effect: "Allow", Action: "s3:GetObject", Resource: "*" });

test("only the service that a trust policy names may assume the role", async () => {
  const arn = await addRole("worker");
  const assume = (service: string) => roles.assumeForService(arn, service, { sessionName: "s" });
  expect(assume("lambda.amazonaws.com").arn).toBe(`arn:aws:sts::${ACCOUNT_ID}:assumed-role/worker/s`);
  expect(() => assume("states.amazonaws.com")).toThrow(/not authorized to perform: sts:AssumeRole/);
});

test("a trust policy may demand the resource for which the service acts, and the session does not keep it", async () => {
  const machine = `arn:aws:states:local-1:${ACCOUNT_ID}:stateMachine:m`;
  const arn = await addRole("machine", {
    AssumeRolePolicyDocument: trusting("states.amazonaws.com", {
      ArnLike: { "aws:SourceArn": `arn:aws:states:local-1:${ACCOUNT_ID}:stateMachine:*` },
      StringEquals: { "aws:SourceAccount": ACCOUNT_ID },
    }),
  });
  const assume = (context?: Record<string, string>) =>
    roles.assumeForService(arn, "states.amazonaws.com", { sessionName: "s", ...(context && { context }) });
  const context = { "aws:SourceArn": machine, "credentials-iot:ThingName": "web-1" };
  expect(assume(context).context).toEqual({ "credentials-iot:ThingName": "web-1" });
  expect(() => assume()).toThrow(/not authorized/);
  expect(() => assume({ "aws:SourceArn": machine.replace("states", "iot") })).toThrow(/not authorized/);
});

test("inline, attached and managed policies all count, also for sessions that exist already", async () => {
  const managed = await provision("AWS::IAM::ManagedPolicy", "Managed", { PolicyDocument: read });
  const arn = await addRole("worker", {
    Policies: [{ PolicyName: "inline", PolicyDocument: read }],
    ManagedPolicyArns: [managed.ref, "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
  });
  const session = roles.assumeForService(arn, "lambda.amazonaws.com", { sessionName: "s" });
  expect(session.policies).toHaveLength(3);
  await provision("AWS::IAM::Policy", "Later", { PolicyName: "p", PolicyDocument: read, Roles: ["worker"] });
  expect(session.policies).toHaveLength(4);
});

test.each<[string, Record<string, unknown>]>([
  [
    "an AWS managed policy that is not known",
    { ManagedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"] },
  ],
  ["a permissions boundary", { PermissionsBoundary: "arn:aws:iam::aws:policy/x" }],
  [
    "a policy that cannot be judged",
    {
      Policies: [
        {
          PolicyName: "p",
          PolicyDocument: document({
            Effect: "Allow",
            Action: "*",
            Resource: "*",
            Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } },
          }),
        },
      ],
    },
  ],
])("a role with %s is refused when it is provisioned", async (_, more) => {
  await expect(addRole("worker", more)).rejects.toThrow(/does not support/);
});

test("credentials lead back to their session until they expire", async () => {
  const arn = await addRole("worker");
  const session = roles.assumeForService(arn, "lambda.amazonaws.com", { sessionName: "s" });
  const { accessKeyId, sessionToken, secretAccessKey } = roles.issueCredentials(session, 900);
  const found = roles.authenticate(accessKeyId, sessionToken);
  expect(found).toEqual({ caller: session, secretAccessKey });
  expect(() => roles.authenticate(accessKeyId, `${sessionToken}x`)).toThrow(/invalid/);
  expect(() => roles.authenticate("ASIAUNKNOWN", sessionToken)).toThrow(/invalid/);
  await clock.advance(900_000);
  expect(() => roles.authenticate(accessKeyId, sessionToken)).toThrow(/expired/);
});
