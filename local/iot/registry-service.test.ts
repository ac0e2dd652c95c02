import { generateKeyPairSync } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateCertificateFromCsrCommand,
  CreateKeysAndCertificateCommand,
  CreateThingCommand,
  CreateThingTypeCommand,
  DeleteCertificateCommand,
  DeleteThingCommand,
  DescribeCertificateCommand,
  DescribeEndpointCommand,
  DescribeThingCommand,
  DetachPolicyCommand,
  DetachThingPrincipalCommand,
  ListAttachedPoliciesCommand,
  ListThingPrincipalsCommand,
  ListThingsCommand,
  UpdateCertificateCommand,
  UpdateThingCommand,
} from "@aws-sdk/client-iot";
import { expect, test } from "vitest";
import { administrator, TestCloud } from "./testing/cloud.ts";
import { enrol, getCredentials, newKeyAndCsr, TestConnection } from "./testing/device.ts";

test("a thing is created, described, updated at its version, listed and deleted", async () => {
  await using cloud = await TestCloud.start();
  const iot = cloud.iot();
  const attributePayload = { attributes: { site: "north", role: "source" } };
  const created = await iot.send(new CreateThingCommand({ thingName: "alpha", attributePayload }));
  expect(created.thingArn).toBe("arn:aws:iot:local-1:000000000000:thing/alpha");
  const again = await iot.send(new CreateThingCommand({ thingName: "alpha", attributePayload }));
  expect(again.thingId).toBe(created.thingId);
  await expect(iot.send(new CreateThingCommand({ thingName: "alpha" }))).rejects.toMatchObject({
    name: "ResourceAlreadyExistsException",
  });

  const change = { attributes: { site: "", owner: "ops" }, merge: true };
  const update = new UpdateThingCommand({ thingName: "alpha", attributePayload: change, expectedVersion: 1 });
  await iot.send(update);
  await expect(iot.send(update)).rejects.toMatchObject({ name: "VersionConflictException" });
  expect(await iot.send(new DescribeThingCommand({ thingName: "alpha" }))).toMatchObject({
    thingName: "alpha",
    thingId: created.thingId,
    defaultClientId: "alpha",
    attributes: { role: "source", owner: "ops" },
    version: 2,
  });

  await iot.send(new CreateThingCommand({ thingName: "beta" }));
  const first = await iot.send(new ListThingsCommand({ maxResults: 1 }));
  const second = await iot.send(new ListThingsCommand({ maxResults: 1, nextToken: first.nextToken }));
  expect([...(first.things ?? []), ...(second.things ?? [])].map((thing) => thing.thingName)).toEqual([
    "alpha",
    "beta",
  ]);
  expect(second.nextToken).toBeUndefined();

  await iot.send(new DeleteThingCommand({ thingName: "alpha" }));
  await iot.send(new DeleteThingCommand({ thingName: "alpha" }));
  await expect(iot.send(new DescribeThingCommand({ thingName: "alpha" }))).rejects.toMatchObject({
    name: "ResourceNotFoundException",
  });
});

test("a certificate cannot be deleted while it is active or attached", async () => {
  await using cloud = await TestCloud.start();
  const iot = cloud.iot();
  const { certificateId, certificateArn, name } = await enrol(cloud, "alpha");
  const described = await iot.send(new DescribeCertificateCommand({ certificateId }));
  expect(described.certificateDescription).toMatchObject({
    certificateArn,
    status: "ACTIVE",
    creationDate: new Date(cloud.clock.now()),
  });
  expect(await iot.send(new ListThingPrincipalsCommand({ thingName: name }))).toMatchObject({
    principals: [certificateArn],
  });
  expect(await iot.send(new ListAttachedPoliciesCommand({ target: certificateArn }))).toMatchObject({
    policies: [{ policyName: "device", policyArn: "arn:aws:iot:local-1:000000000000:policy/device" }],
  });

  const remove = () => iot.send(new DeleteCertificateCommand({ certificateId }));
  await expect(remove()).rejects.toMatchObject({ name: "CertificateStateException" });
  await expect(iot.send(new DeleteThingCommand({ thingName: name }))).rejects.toMatchObject({
    name: "InvalidRequestException",
  });
  await iot.send(new UpdateCertificateCommand({ certificateId, newStatus: "REVOKED" }));
  await expect(remove()).rejects.toMatchObject({ name: "DeleteConflictException" });
  await iot.send(new DetachThingPrincipalCommand({ thingName: name, principal: certificateArn }));
  await expect(remove()).rejects.toMatchObject({ name: "DeleteConflictException" });
  await iot.send(new DetachPolicyCommand({ policyName: "device", target: certificateArn }));
  await remove();
  await expect(remove()).rejects.toMatchObject({ name: "ResourceNotFoundException" });
});

test("a revoked certificate stays revoked", async () => {
  await using cloud = await TestCloud.start();
  const { certificateId } = await enrol(cloud, "alpha");
  await cloud.iot().send(new UpdateCertificateCommand({ certificateId, newStatus: "REVOKED" }));
  await expect(
    cloud.iot().send(new UpdateCertificateCommand({ certificateId, newStatus: "ACTIVE" })),
  ).rejects.toMatchObject({ name: "CertificateStateException" });
});

test("a signing request that is malformed, altered or of another key type is refused", async () => {
  await using cloud = await TestCloud.start();
  const { csr } = await newKeyAndCsr("alpha");
  const der = Buffer.from(csr.replaceAll(/-----.*-----|\n/g, ""), "base64");
  const name = der.indexOf("alpha");
  der.write("gamma", name);
  const altered = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----`;
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({
    type: "spki",
    format: "pem",
  });
  for (const request of ["", "x", altered, rsa.toString(), csr.repeat(20), csr.slice(0, 200)]) {
    await expect(
      cloud.iot().send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: request })),
    ).rejects.toMatchObject({ name: "InvalidRequestException" });
  }
});

test("the endpoints are those of the listening servers", async () => {
  await using cloud = await TestCloud.start();
  const endpoint = async (endpointType: string) =>
    (await cloud.iot().send(new DescribeEndpointCommand({ endpointType }))).endpointAddress;
  expect(await endpoint("iot:Data-ATS")).toBe(cloud.core.endpoints().mqtt);
  expect(await endpoint("iot:CredentialProvider")).toBe(cloud.core.endpoints().credentials);
  await expect(endpoint("iot:Jobs")).rejects.toMatchObject({ name: "NotImplemented" });
});

test("every operation is authorized on its own action and resource", async () => {
  await using cloud = await TestCloud.start();
  const { certificateArn, certificateId } = await enrol(cloud, "alpha");
  const thing = "arn:aws:iot:local-1:000000000000:thing/alpha";
  const asked: string[] = [];
  const { authorizer } = cloud;
  const original = authorizer.authorize.bind(authorizer);
  authorizer.authorize = (caller, request) => {
    asked.push(`${request.action} ${request.resource}`);
    original(caller, request);
  };
  cloud.caller = administrator({ Effect: "Deny" });
  const iot = cloud.iot();
  const principal = { thingName: "alpha", principal: certificateArn };
  const policy = { policyName: "device", target: certificateArn };
  const refused = (call: Promise<unknown>) =>
    expect(call).rejects.toMatchObject({ name: "AccessDeniedException", $metadata: { httpStatusCode: 403 } });
  await refused(iot.send(new CreateThingCommand({ thingName: "alpha" })));
  await refused(iot.send(new DescribeThingCommand({ thingName: "alpha" })));
  await refused(iot.send(new UpdateThingCommand({ thingName: "alpha", attributePayload: {} })));
  await refused(iot.send(new DeleteThingCommand({ thingName: "alpha" })));
  await refused(iot.send(new ListThingsCommand({})));
  await refused(iot.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: "x" })));
  await refused(iot.send(new DescribeCertificateCommand({ certificateId })));
  await refused(iot.send(new UpdateCertificateCommand({ certificateId, newStatus: "INACTIVE" })));
  await refused(iot.send(new DeleteCertificateCommand({ certificateId })));
  await refused(iot.send(new AttachPolicyCommand(policy)));
  await refused(iot.send(new DetachPolicyCommand(policy)));
  await refused(iot.send(new ListAttachedPoliciesCommand({ target: certificateArn })));
  await refused(iot.send(new AttachThingPrincipalCommand(principal)));
  await refused(iot.send(new DetachThingPrincipalCommand(principal)));
  await refused(iot.send(new ListThingPrincipalsCommand({ thingName: "alpha" })));
  await refused(iot.send(new DescribeEndpointCommand({ endpointType: "iot:Data-ATS" })));
  expect(asked).toEqual([
    `iot:CreateThing ${thing}`,
    `iot:DescribeThing ${thing}`,
    `iot:UpdateThing ${thing}`,
    `iot:DeleteThing ${thing}`,
    "iot:ListThings *",
    "iot:CreateCertificateFromCsr *",
    `iot:DescribeCertificate ${certificateArn}`,
    `iot:UpdateCertificate ${certificateArn}`,
    `iot:DeleteCertificate ${certificateArn}`,
    `iot:AttachPolicy ${certificateArn}`,
    `iot:DetachPolicy ${certificateArn}`,
    `iot:ListAttachedPolicies ${certificateArn}`,
    "iot:AttachThingPrincipal *",
    "iot:DetachThingPrincipal *",
    "iot:ListThingPrincipals *",
    "iot:DescribeEndpoint *",
  ]);
});

test("an operation that is not emulated fails with an error that names it", async () => {
  await using cloud = await TestCloud.start();
  const iot = cloud.iot();
  const unsupported = { name: "NotImplemented", message: expect.stringContaining("does not support") };
  await expect(iot.send(new CreateThingTypeCommand({ thingTypeName: "t" }))).rejects.toMatchObject(
    unsupported,
  );
  await expect(iot.send(new CreateKeysAndCertificateCommand({}))).rejects.toThrow();
  await expect(
    iot.send(new CreateThingCommand({ thingName: "alpha", thingTypeName: "t" })),
  ).rejects.toMatchObject({ name: "InvalidRequestException" });
});

test("a policy that does not exist cannot be attached", async () => {
  await using cloud = await TestCloud.start();
  const { certificateArn } = await enrol(cloud, "alpha");
  await expect(
    cloud.iot().send(new AttachPolicyCommand({ policyName: "missing", target: certificateArn })),
  ).rejects.toMatchObject({ name: "ResourceNotFoundException" });
});

test("authority, certificates, things, attachments and ports are the same after a restart", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const before = { pem: cloud.core.certificateAuthorityPem, ...cloud.core.endpoints() };
  await cloud.stopCore();
  await cloud.startCore();
  expect({ pem: cloud.core.certificateAuthorityPem, ...cloud.core.endpoints() }).toEqual(before);
  await using connection = await TestConnection.open(cloud, device);
  await connection.client.publishAsync("agents/alpha/events", "{}", { qos: 1 });
  expect(await getCredentials(cloud, device)).toMatchObject({ status: 200 });
});

test("only the owner of the folder can read the authority's key", async () => {
  await using cloud = await TestCloud.start();
  const directory = join(cloud.directory, "authority");
  expect(await readdir(directory)).toEqual(["authority-key.pem", "authority.pem"]);
  const { mode } = await stat(join(directory, "authority-key.pem"));
  expect((mode & 0o777).toString(8)).toBe("600");
});
