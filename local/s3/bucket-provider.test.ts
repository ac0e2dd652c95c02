import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestWorld } from "./testing/s3-world.ts";

let world: TestWorld;
beforeEach(async () => {
  world = await TestWorld.start();
});
afterEach(() => world.stop());

const KEY_ARN = "arn:aws:kms:local-1:000000000000:key/k1";
/** What the CDK emits for a bucket with every accepted property. */
const EVERYTHING = {
  BucketEncryption: {
    ServerSideEncryptionConfiguration: [
      {
        BucketKeyEnabled: true,
        ServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms", KMSMasterKeyID: KEY_ARN },
      },
    ],
  },
  LifecycleConfiguration: {
    Rules: [
      {
        Id: "Expire",
        Status: "Enabled",
        Prefix: "tmp/",
        ExpirationInDays: 7,
        NoncurrentVersionExpiration: { NoncurrentDays: 30, NewerNoncurrentVersions: 2 },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      },
    ],
  },
  LoggingConfiguration: { DestinationBucketName: "logs", LogFilePrefix: "s3/" },
  OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
  PublicAccessBlockConfiguration: {
    BlockPublicAcls: true,
    BlockPublicPolicy: true,
    IgnorePublicAcls: true,
    RestrictPublicBuckets: true,
  },
  Tags: [{ Key: "a", Value: "b" }],
  VersioningConfiguration: { Status: "Enabled" },
};

test("a bucket accepts the properties that the CDK emits, and returns its name and attributes", async () => {
  expect(await world.provision("AWS::S3::Bucket", EVERYTHING)).toEqual({
    ref: "generated-name",
    attributes: {
      Arn: "arn:aws:s3:::generated-name",
      DomainName: "generated-name.s3.amazonaws.com",
      RegionalDomainName: "generated-name.s3.local-1.amazonaws.com",
    },
  });
});

test("a property that is not known is an error that names it", async () => {
  const provision = (properties: object) => world.provision("AWS::S3::Bucket", { ...properties });
  await expect(provision({ WebsiteConfiguration: {} })).rejects.toThrow(/WebsiteConfiguration/);
  const transition = { Status: "Enabled", Transitions: [] };
  await expect(provision({ LifecycleConfiguration: { Rules: [transition] } })).rejects.toThrow(/Transitions/);
  await expect(provision({ ObjectLockEnabled: true })).rejects.toThrow(/ObjectLockEnabled/);
  await expect(provision({ BucketName: "../up" })).rejects.toMatchObject({ code: "InvalidBucketName" });
});

test("provisioning again keeps the objects, and drops a policy that the template dropped", async () => {
  await world.provision("AWS::S3::Bucket", {});
  const Statement = { Effect: "Allow", Principal: { AWS: "*" }, Action: "s3:*", Resource: "*" };
  await world.provision("AWS::S3::BucketPolicy", { Bucket: "generated-name", PolicyDocument: { Statement } });
  const address = { Bucket: "generated-name", Key: "k" };
  await world.client.send(new PutObjectCommand({ ...address, Body: "x" }));
  await world.close();
  await world.open();
  await world.client.send(new HeadObjectCommand(address));
  expect(world.accesses.at(-1)?.resourcePolicy?.Statement).toEqual(Statement);
  await world.provision("AWS::S3::Bucket", { VersioningConfiguration: { Status: "Enabled" } });
  await world.client.send(new HeadObjectCommand(address));
  expect(world.accesses.at(-1)?.resourcePolicy).toBeUndefined();
});

test("under KMS an object names its key, and every use of it is authorized", async () => {
  await world.bucket("secret", EVERYTHING);
  const address = { Bucket: "secret", Key: "k" };
  const put = await world.client.send(new PutObjectCommand({ ...address, Body: "x" }));
  expect(put).toMatchObject({
    ServerSideEncryption: "aws:kms",
    SSEKMSKeyId: KEY_ARN,
    BucketKeyEnabled: true,
  });
  await world.client.send(new GetObjectCommand(address));
  const context = {
    "kms:ViaService": "s3.local-1.amazonaws.com",
    "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::secret",
  };
  expect(world.keyUses).toEqual([
    { action: "kms:GenerateDataKey", keyId: KEY_ARN, context },
    { action: "kms:Decrypt", keyId: KEY_ARN, context },
  ]);
});
