import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import {
  AssumeRoleCommand,
  type AssumeRoleCommandInput,
  GetCallerIdentityCommand,
  STSClient,
} from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACCOUNT_ID, type PolicyStatement } from "../core/service.ts";
import { policy, SmallCloud } from "../gateway/testing/small-cloud.ts";

let cloud: SmallCloud;
let reader: string;

beforeAll(async () => {
  cloud = await SmallCloud.start();
  for (const name of ["first", "second"]) {
    await cloud.provision("AWS::DynamoDB::Table", name, {
      TableName: `${name}-table`,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
    });
  }
  reader = await cloud.addRole("reader", { Effect: "Allow", Action: "dynamodb:GetItem", Resource: "*" });
});
afterAll(() => cloud[Symbol.asyncDispose]());

const mayAssume: PolicyStatement = { Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" };

async function assume(client: STSClient, input: Partial<AssumeRoleCommandInput> = {}) {
  const { Credentials } = await client.send(
    new AssumeRoleCommand({ RoleArn: reader, RoleSessionName: "chained", ...input }),
  );
  return cloud.config({
    accessKeyId: Credentials?.AccessKeyId ?? "",
    secretAccessKey: Credentials?.SecretAccessKey ?? "",
    sessionToken: Credentials?.SessionToken ?? "",
  });
}

const read = (config: Awaited<ReturnType<typeof assume>>, table: string) =>
  new DynamoDBClient(config).send(new GetItemCommand({ TableName: table, Key: { pk: { S: "a" } } }));

test("an assumed role has the role's rights and a name of its own", async () => {
  const client = new STSClient(await cloud.clientFor("plain", mayAssume));
  const config = await assume(client);
  const identity = await new STSClient(config).send(new GetCallerIdentityCommand({}));
  expect(identity).toMatchObject({
    Account: ACCOUNT_ID,
    Arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/reader/chained`,
  });
  await expect(read(config, "first-table")).resolves.toBeDefined();
});

test("a session policy narrows the role, and cannot widen it", async () => {
  const client = new STSClient(await cloud.clientFor("narrowing", mayAssume));
  const only = (resource: string) =>
    JSON.stringify(policy({ Effect: "Allow", Action: "dynamodb:*", Resource: resource }));
  const config = await assume(client, { Policy: only("arn:aws:dynamodb:*:*:table/first-table") });
  await expect(read(config, "first-table")).resolves.toBeDefined();
  await expect(read(config, "second-table")).rejects.toMatchObject({
    name: "AccessDeniedException",
    message: expect.stringContaining("no session policy allows it"),
  });
});

test("assuming a role needs the permission of its trust policy and, if that names the account, the caller's own", async () => {
  const without = new STSClient(await cloud.clientFor("powerless"));
  await expect(assume(without)).rejects.toMatchObject({ name: "AccessDenied", message: /sts:AssumeRole/ });
  const untrusting = await cloud.provision("AWS::IAM::Role", "Untrusting", {
    AssumeRolePolicyDocument: policy({
      Effect: "Allow",
      Principal: { Service: "iot.amazonaws.com" },
      Action: "sts:AssumeRole",
    }),
  });
  const trusted = new STSClient(await cloud.clientFor("powerful", mayAssume));
  const RoleArn = untrusting.attributes.Arn;
  await expect(assume(trusted, { RoleArn })).rejects.toMatchObject({ name: "AccessDenied" });
  await expect(assume(trusted, { RoleArn: `${RoleArn}x` })).rejects.toMatchObject({ name: "AccessDenied" });
});

test("a trust policy may require an external id", async () => {
  const role = await cloud.provision("AWS::IAM::Role", "Partner", {
    AssumeRolePolicyDocument: policy({
      Effect: "Allow",
      Principal: { AWS: ACCOUNT_ID },
      Action: "sts:AssumeRole",
      Condition: { StringEquals: { "sts:ExternalId": "42" } },
    }),
  });
  const client = new STSClient(await cloud.clientFor("partner", mayAssume));
  const RoleArn = role.attributes.Arn;
  await expect(assume(client, { RoleArn, ExternalId: "42" })).resolves.toBeDefined();
  await expect(assume(client, { RoleArn, ExternalId: "43" })).rejects.toMatchObject({ name: "AccessDenied" });
});

test.each<[string, Partial<AssumeRoleCommandInput>, string]>([
  ["more than an hour, for a chained role", { DurationSeconds: 3601 }, "ValidationError"],
  ["less than 15 minutes", { DurationSeconds: 899 }, "ValidationError"],
  ["a session policy that is not JSON", { Policy: "{" }, "MalformedPolicyDocumentException"],
  [
    "a session policy that cannot be judged",
    { Policy: '{"Statement":{"Effect":"Allow"}}' },
    "MalformedPolicyDocumentException",
  ],
  ["session tags", { Tags: [{ Key: "a", Value: "b" }] }, "NotImplemented"],
])("AssumeRole refuses %s", async (what, input, name) => {
  const client = new STSClient(await cloud.clientFor(`strict-${what.length}`, mayAssume));
  await expect(assume(client, input)).rejects.toMatchObject({ name });
});
