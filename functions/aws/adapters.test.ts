import { generateKeyPairSync } from "node:crypto";
import { CreateCertificateFromCsrCommand, InvalidRequestException, IoTClient } from "@aws-sdk/client-iot";
import { GetPublicKeyCommand, KMSClient, SignCommand } from "@aws-sdk/client-kms";
import { HeadObjectCommand, S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  ExecutionDoesNotExist,
  InvalidToken,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
  TaskDoesNotExist,
  TaskTimedOut,
} from "@aws-sdk/client-sfn";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { mockClient } from "aws-sdk-client-mock";
import { expect, test } from "vitest";
import { failureOf, InvalidInputError } from "#shared/errors.ts";
import { IotDeviceRegistry } from "./iot-device-registry.ts";
import { KmsCommandKey } from "./kms-command-key.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { SfnWaitingSteps } from "./sfn-waiting-steps.ts";
import { SfnWorkflow } from "./sfn-workflow.ts";
import { StsBootImageBroker } from "./sts-boot-image-broker.ts";
import { StsSourceDataBroker } from "./sts-source-data-broker.ts";

const region = "local-1";
const said = { message: "x", $metadata: {} };
const MACHINE = "arn:aws:states:local-1:000000000000:stateMachine:hot";

test.each([new TaskTimedOut(said), new TaskDoesNotExist(said), new InvalidToken(said)])(
  "$name means that no step waits any more",
  async (error) => {
    const client = new SFNClient({ region });
    mockClient(client).on(SendTaskSuccessCommand).rejects(error);
    expect(await new SfnWaitingSteps(client).succeed("token", {})).toBe(false);
  },
);

test("any other error of Step Functions is thrown", async () => {
  const client = new SFNClient({ region });
  mockClient(client).on(SendTaskSuccessCommand).rejects(new Error("throttled"));
  await expect(new SfnWaitingSteps(client).succeed("token", {})).rejects.toThrow("throttled");
});

test("a failure too long for Step Functions keeps its name, message and hint", async () => {
  const client = new SFNClient({ region });
  const mock = mockClient(client).on(SendTaskFailureCommand).resolves({});
  const failure = { ...failureOf(new Error("x")), details: { ranges: "r".repeat(40_000) } };
  await new SfnWaitingSteps(client).fail("token", failure);
  const { cause = "" } = mock.commandCalls(SendTaskFailureCommand)[0]?.args[0].input ?? {};
  // Quoted in the cause of the workflow that waits, it is still whole.
  expect(JSON.stringify(cause).length).toBeLessThan(32_768);
  expect(JSON.parse(cause)).toMatchObject({ name: failure.name, message: failure.message });
});

test("stopping a workflow that never began is not an error", async () => {
  const client = new SFNClient({ region });
  const mock = mockClient(client).on(StopExecutionCommand).rejects(new ExecutionDoesNotExist(said));
  await new SfnWorkflow(client, MACHINE).stop("cnv_1");
  expect(mock.commandCalls(StopExecutionCommand)[0]?.args[0].input.executionArn).toBe(
    "arn:aws:states:local-1:000000000000:execution:hot:cnv_1",
  );
});

test("a missing or hidden object has no description; any other error is thrown", async () => {
  const client = new S3Client({ region });
  const mock = mockClient(client);
  const bucket = new S3Bucket(client, "bucket");
  const refusal = (httpStatusCode: number) =>
    new S3ServiceException({ name: "E", $fault: "client", $metadata: { httpStatusCode } });
  for (const status of [403, 404]) {
    mock.on(HeadObjectCommand).rejects(refusal(status));
    expect(await bucket.describe("key")).toBeUndefined();
  }
  mock.on(HeadObjectCommand).rejects(refusal(503));
  await expect(bucket.describe("key")).rejects.toThrow();
  mock.on(HeadObjectCommand).resolves({ ContentLength: 3, ChecksumSHA256: "q6s=" });
  expect(await bucket.describe("key")).toEqual({ sizeBytes: 3, sha256: "abab" });
});

test("the command key signs bytes, and its public key is requested once", async () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const client = new KMSClient({ region });
  const mock = mockClient(client);
  mock.on(SignCommand).resolves({ Signature: Buffer.from("signature") });
  mock.on(GetPublicKeyCommand).resolves({ PublicKey: publicKey.export({ type: "spki", format: "der" }) });
  const key = new KmsCommandKey(client, "arn:key");
  expect(Buffer.from(await key.sign(Buffer.from("message"))).toString()).toBe("signature");
  expect(mock.commandCalls(SignCommand)[0]?.args[0].input).toEqual({
    KeyId: "arn:key",
    Message: Buffer.from("message"),
    MessageType: "RAW",
    SigningAlgorithm: "ECDSA_SHA_256",
  });
  const pem = publicKey.export({ type: "spki", format: "pem" });
  expect([await key.publicKeyPem(), await key.publicKeyPem()]).toEqual([pem, pem]);
  expect(mock.commandCalls(GetPublicKeyCommand)).toHaveLength(1);
});

test("agents never get a public key that they could not use", async () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const client = new KMSClient({ region });
  const PublicKey = publicKey.export({ type: "spki", format: "der" });
  mockClient(client).on(GetPublicKeyCommand).resolves({ PublicKey });
  await expect(new KmsCommandKey(client, "arn:key").publicKeyPem()).rejects.toThrow("P-256");
});

test("credentials to upload a boot image are for that image only", async () => {
  const client = new STSClient({ region });
  const expires = { AccessKeyId: "a", SecretAccessKey: "s", SessionToken: "t", Expiration: new Date(0) };
  const mock = mockClient(client).on(AssumeRoleCommand).resolves({ Credentials: expires });
  await new StsBootImageBroker({ client, roleArn: "arn:role", bucket: "bucket" }).grant("f00", "ada");
  expect(JSON.parse(mock.commandCalls(AssumeRoleCommand)[0]?.args[0].input.Policy ?? "").Statement).toEqual([
    { Effect: "Allow", Action: ["s3:PutObject"], Resource: ["arn:aws:s3:::bucket/boot-images/f00/*"] },
  ]);
});

test("a workflow that has this name already is not started again", async () => {
  const client = new SFNClient({ region });
  const mock = mockClient(client);
  mock.on(StartExecutionCommand).rejects(new ExecutionAlreadyExists(said));
  mock.on(DescribeExecutionCommand).rejects(new ExecutionDoesNotExist(said));
  const workflow = new SfnWorkflow(client, MACHINE);
  expect(await workflow.start("cnv_1", {})).toBe("exists");
  expect(await workflow.isRunning("cnv_1")).toBe(false);
  expect(mock.commandCalls(DescribeExecutionCommand)[0]?.args[0].input.executionArn).toBe(
    "arn:aws:states:local-1:000000000000:execution:hot:cnv_1",
  );
});

test("a certificate request that IoT cannot read is reported as invalid input", async () => {
  const client = new IoTClient({ region });
  mockClient(client).on(CreateCertificateFromCsrCommand).rejects(new InvalidRequestException(said));
  await expect(new IotDeviceRegistry(client).certify("x")).rejects.toThrow(InvalidInputError);
});

test("the policy for a source's data names that source in every statement", async () => {
  const client = new STSClient({ region });
  const Credentials = { AccessKeyId: "a", SecretAccessKey: "s", SessionToken: "t", Expiration: new Date(0) };
  const mock = mockClient(client).on(AssumeRoleCommand).resolves({ Credentials });
  const roleArn = "arn:aws:iam::000000000000:role/data";
  const kmsKeyArn = "arn:aws:kms:local-1:000000000000:key/1";
  const broker = new StsSourceDataBroker({ client, roleArn, bucket: "bucket", kmsKeyArn });
  await broker.grant("agt_source", "ada lovelace <ada@example.org>");
  const input = mock.commandCalls(AssumeRoleCommand)[0]?.args[0].input;
  expect(input?.RoleSessionName).toMatch(/^[\w+=,.@-]{2,64}$/);
  const policy = JSON.parse(input?.Policy ?? "{}");
  expect(policy.Statement).toHaveLength(3);
  for (const statement of policy.Statement) expect(JSON.stringify(statement)).toContain("agt_source");
});
