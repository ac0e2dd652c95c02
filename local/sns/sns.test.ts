import { randomUUID } from "node:crypto";
import {
  ListTopicsCommand,
  PublishCommand,
  type PublishCommandInput,
  SNSClient,
  SubscribeCommand,
} from "@aws-sdk/client-sns";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { generatedName } from "../assembly/generated-name.ts";
import { ManualClock } from "../core/clock.ts";
import { ACCOUNT_ID, type PolicyStatement, REGION } from "../core/service.ts";
import { policy, SmallCloud } from "../gateway/testing/small-cloud.ts";
import { PolicyEvaluator } from "../iam/policy-evaluator.ts";
import { SnsProvider } from "./sns-provider.ts";
import { SnsService } from "./sns-service.ts";
import { type Message, Topics } from "./topics.ts";

const published: { topic: string; message: Message }[] = [];
const topics = new Topics({ onPublished: ({ name }, message) => published.push({ topic: name, message }) });
const provider = new SnsProvider({ topics });
const TopicArn = `arn:aws:sns:${REGION}:${ACCOUNT_ID}:alarms`;
const mayPublish: PolicyStatement = { Effect: "Allow", Action: "sns:Publish", Resource: TopicArn };

let cloud: SmallCloud;
let publisher: SNSClient;

const provision = (type: string, logicalId: string, properties: Record<string, unknown>) =>
  provider.provision({
    type,
    stack: "Test",
    logicalId,
    properties,
    generatedName: generatedName("Test", logicalId),
  });

beforeAll(async () => {
  const clock = new ManualClock(Date.now());
  const authorizer = new PolicyEvaluator();
  const sns = new SnsService({ topics, authorizer, clock, newId: randomUUID });
  cloud = await SmallCloud.start({ clock, services: [sns] });
  publisher = new SNSClient(await cloud.clientFor("publisher", mayPublish));
});
afterAll(() => cloud[Symbol.asyncDispose]());

beforeEach(async () => {
  published.length = 0;
  await provision("AWS::SNS::Topic", "Alarms", { TopicName: "alarms", SignatureVersion: "2" });
});

const publish = (input: Partial<PublishCommandInput>, client = publisher) =>
  client.send(new PublishCommand({ TopicArn, Message: "the house is on fire", ...input }));

test("a published message has an id, its subject, its attributes and a body for each protocol", async () => {
  const { MessageId } = await publish({
    Subject: "Fire",
    MessageStructure: "json",
    Message: JSON.stringify({ default: "fire", email: "The house is on fire." }),
    MessageAttributes: { kind: { DataType: "String", StringValue: "fire" } },
  });
  expect(published).toEqual([
    {
      topic: "alarms",
      message: {
        id: MessageId,
        at: cloud.clock.now(),
        subject: "Fire",
        bodies: { default: "fire", email: "The house is on fire." },
        attributes: { kind: "fire" },
      },
    },
  ]);
});

test("only a policy allows to publish, and a topic's policy can refuse it", async () => {
  const other = new SNSClient(
    await cloud.clientFor("other", { ...mayPublish, Resource: `${TopicArn}-of-others` }),
  );
  await expect(publish({}, other)).rejects.toMatchObject({ name: "AuthorizationErrorException" });
  await provision("AWS::SNS::TopicPolicy", "Policy", {
    Topics: [TopicArn],
    PolicyDocument: policy({
      Effect: "Deny",
      Principal: "*",
      Action: "sns:Publish",
      Resource: TopicArn,
      Condition: { Bool: { "aws:SecureTransport": "true" } },
    }),
  });
  await expect(publish({})).rejects.toMatchObject({ name: "AuthorizationErrorException" });
  expect(published).toEqual([]);
});

test("a topic that no template declares does not exist", async () => {
  const client = new SNSClient(await cloud.clientFor("anything", { ...mayPublish, Resource: "*" }));
  await expect(publish({ TopicArn: `${TopicArn}x` }, client)).rejects.toMatchObject({
    name: "NotFoundException",
  });
});

test.each<[string, Partial<PublishCommandInput>, RegExp]>([
  ["an empty message", { Message: "" }, /^InvalidParameter/],
  ["more than 256 KiB", { Message: "x".repeat(256 * 1024 + 1) }, /^InvalidParameter/],
  ["a subject of two lines", { Subject: "a\nb" }, /^InvalidParameter/],
  ["a subject of 100 characters", { Subject: "a".repeat(100) }, /^InvalidParameter/],
  ["a structure that is not JSON", { MessageStructure: "json" }, /^InvalidParameter/],
  [
    "a structure without a default",
    { MessageStructure: "json", Message: '{"email":"x"}' },
    /^InvalidParameter/,
  ],
  [
    "binary attributes",
    { MessageAttributes: { a: { DataType: "Binary", BinaryValue: Buffer.from("x") } } },
    /NotImplemented|^InvalidParameter/,
  ],
  ["a phone number", { PhoneNumber: "+15550100" }, /^NotImplemented/],
  ["a group of messages", { MessageGroupId: "a" }, /^NotImplemented/],
])("Publish refuses %s", async (_, input, name) => {
  await expect(publish(input)).rejects.toMatchObject({ name: expect.stringMatching(name) });
  expect(published).toEqual([]);
});

test("operations and properties that are not supported are refused by name", async () => {
  await expect(publisher.send(new ListTopicsCommand({}))).rejects.toThrow("the SNS action ListTopics");
  await expect(publisher.send(new SubscribeCommand({ TopicArn, Protocol: "email" }))).rejects.toThrow(
    "the SNS action Subscribe",
  );
  await expect(provision("AWS::SNS::Topic", "Queue", { FifoTopic: true })).rejects.toThrow("FifoTopic");
});
