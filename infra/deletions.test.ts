import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, DeleteObjectsCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SmallCloud } from "#local/gateway/testing/small-cloud.ts";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { openS3, type S3 } from "#local/s3/s3.ts";
import { environments, type FunctionName } from "#shared/environment.ts";
import { causeway } from "./causeway.ts";

const ARN = "arn:aws:s3:::causeway";
let cloud: SmallCloud;
let s3: S3;

/** The bucket's own policy, and the collector's rights in the bucket, for a bucket of the embedded cloud. */
function declared(): { bucketPolicy: Record<string, unknown>; collector: never[] } {
  const folder = mkdtempSync(join(tmpdir(), "causeway-deletions-"));
  const bundles = (Object.keys(environments) as FunctionName[]).map((name) => {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, "index.mjs"), "");
    return [name, join(folder, name)];
  });
  const app = new App({ outdir: join(folder, "out") });
  causeway(app, Object.fromEntries(bundles));
  const stacks = app
    .synth()
    .stacks.map(({ stackName, template }) => [stackName, Template.fromJSON(template)]);
  const { CausewayData, CausewayWorkflow } = Object.fromEntries(stacks) as Record<string, Template>;
  const [policy] = Object.values(CausewayData?.findResources("AWS::S3::BucketPolicy") ?? {});
  const roles = Object.values(CausewayWorkflow?.findResources("AWS::IAM::Policy") ?? {}).filter((each) =>
    JSON.stringify(each).includes("s3:DeleteObject"),
  );
  expect(roles).toHaveLength(1);
  const statements = resolved(roles[0]?.Properties.PolicyDocument.Statement) as { Action: unknown }[];
  const onBucket = statements.filter(({ Action }) => JSON.stringify(Action).includes("s3:"));
  return {
    bucketPolicy: resolved(policy?.Properties.PolicyDocument) as never,
    collector: onBucket as never[],
  };
}

/** With the bucket's ARN and the account in the place of references to them. */
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved);
  if (typeof value !== "object" || value === null) return value;
  const [[name, inner] = ["", undefined], ...others] = Object.entries(value);
  if (others.length === 0 && name === "Fn::Join") {
    const [separator, parts] = inner as [string, unknown[]];
    return parts.map(resolved).join(separator);
  }
  if (others.length === 0 && (name === "Fn::GetAtt" || name === "Fn::ImportValue")) return ARN;
  if (others.length === 0 && name === "Ref") return inner === "AWS::AccountId" ? "000000000000" : "aws";
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolved(each)]));
}

beforeAll(async () => {
  const { bucketPolicy, collector } = declared();
  const folder = mkdtempSync(join(tmpdir(), "causeway-deletions-s3-"));
  cloud = await SmallCloud.start();
  const options = { folder, clock: cloud.clock, authorizer: new PolicyEvaluator() };
  s3 = await openS3({ ...options, keys: { authorizeKeyUse: () => undefined }, report: raise });
  await cloud.stop();
  cloud = await SmallCloud.start({ services: [s3.service] });
  const resource = { stack: "Test", logicalId: "Bucket", generatedName: "causeway" };
  const properties = { BucketName: "causeway", VersioningConfiguration: { Status: "Enabled" } };
  await s3.provider.provision({ type: "AWS::S3::Bucket", ...resource, properties });
  const policy = { Bucket: "causeway", PolicyDocument: bucketPolicy };
  await s3.provider.provision({ type: "AWS::S3::BucketPolicy", ...resource, properties: policy });
  await cloud.addRole("causeway-collector", ...collector);
  const everything = { Effect: "Allow" as const, Action: "s3:*", Resource: "*" };
  for (const name of ["administrator", "causeway-collector-2", "not-causeway-collector"])
    await cloud.addRole(name, everything);
  for (const key of Object.keys(places)) await put("administrator", key);
});

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
  await s3.service.close();
});

function raise(error: unknown): never {
  throw error;
}

function clientOf(role: string): S3Client {
  const arn = `arn:aws:iam::000000000000:role/${role}`;
  return new S3Client({ ...cloud.config(cloud.credentials(arn)), forcePathStyle: true });
}

const put = (role: string, Key: string) =>
  clientOf(role).send(new PutObjectCommand({ Bucket: "causeway", Key, Body: "x", IfNoneMatch: "*" }));

/** Whether the collector may delete it. */
const places = {
  "sources/agt_1/points/rp_1": true,
  "sources/agt_1/packs/aa": true,
  "sources/agt_1/key.json": false,
  "sources/agt_1/pruned/rp_1": false,
  "sources/agt_1/boot-states/cnv_1/aa.json": false,
  "sources/agt_1/notes": false,
  "sources/points": false,
  "boot-images/1/kernel": false,
  "evidence/agt_2/packs/x": false,
  "collections/col_1/agt_1/0": false,
};

test.each(["administrator", "causeway-collector-2", "not-causeway-collector"])(
  "%s, who may do everything else, deletes nothing",
  async (role) => {
    const client = clientOf(role);
    for (const Key of Object.keys(places)) {
      await expect(client.send(new DeleteObjectCommand({ Bucket: "causeway", Key }))).rejects.toThrow(
        "explicit deny",
      );
    }
    const Objects = Object.keys(places).map((Key) => ({ Key }));
    const { Errors, Deleted } = await client.send(
      new DeleteObjectsCommand({ Bucket: "causeway", Delete: { Objects } }),
    );
    expect(Deleted ?? []).toEqual([]);
    expect(Errors?.map(({ Key }) => Key).sort()).toEqual(Object.keys(places).sort());
  },
);

test("no role deletes a version, not even the collector", async () => {
  const { VersionId } = await put("administrator", "sources/agt_1/points/rp_9");
  const command = new DeleteObjectCommand({
    Bucket: "causeway",
    Key: "sources/agt_1/points/rp_9",
    VersionId,
  });
  for (const role of ["administrator", "causeway-collector"])
    await expect(clientOf(role).send(command)).rejects.toThrow("explicit deny");
});

test("the collector deletes points and packs, and nothing else", async () => {
  const client = clientOf("causeway-collector");
  for (const [Key, may] of Object.entries(places)) {
    const deletion = client.send(new DeleteObjectCommand({ Bucket: "causeway", Key }));
    if (may) await deletion;
    else await expect(deletion, Key).rejects.toThrow("explicit deny");
  }
});
