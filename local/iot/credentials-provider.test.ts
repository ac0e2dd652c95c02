import { DetachPolicyCommand, UpdateCertificateCommand } from "@aws-sdk/client-iot";
import { expect, test } from "vitest";
import { TestCloud } from "./testing/cloud.ts";
import { enrol, getCredentials, newKeyAndCsr } from "./testing/device.ts";

test("a device gets the credentials of its role alias, and the session knows which thing it is", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const { certificateId } = device;
  expect(await getCredentials(cloud, device, { thingName: "alpha" })).toEqual({
    status: 200,
    body: {
      credentials: {
        accessKeyId: "ASIATEST",
        secretAccessKey: "secret",
        sessionToken: certificateId,
        expiration: "2030-01-01T01:00:00Z",
      },
    },
  });
  await getCredentials(cloud, device);
  expect(cloud.roles.sessions.map((session) => [session.sessionName, session.context])).toEqual([
    [
      certificateId,
      { "credentials-iot:AwsCertificateId": certificateId, "credentials-iot:ThingName": "alpha" },
    ],
    [certificateId, { "credentials-iot:AwsCertificateId": certificateId }],
  ]);
});

test("a device gets no credentials for another device's thing, without a policy, for an unknown alias or once it is revoked", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  await enrol(cloud, "beta");
  const forbidden = (message: string) => ({ status: 403, body: { message } });
  expect(await getCredentials(cloud, device, { thingName: "beta" })).toEqual(
    forbidden("Invalid thing name passed"),
  );
  expect(await getCredentials(cloud, device, { alias: "other" })).toEqual(forbidden("Access Denied"));
  await cloud.addPolicy("device", {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "iot:AssumeRoleWithCertificate", Resource: "*" }],
  });
  expect(await getCredentials(cloud, device, { alias: "other" })).toEqual({
    status: 404,
    body: { message: "Role alias does not exist" },
  });
  const { certificateId, certificateArn } = device;
  await cloud.iot().send(new DetachPolicyCommand({ policyName: "device", target: certificateArn }));
  expect(await getCredentials(cloud, device)).toEqual(forbidden("Access Denied"));
  const revoked = await enrol(cloud, "gamma");
  await cloud
    .iot()
    .send(new UpdateCertificateCommand({ certificateId: revoked.certificateId, newStatus: "REVOKED" }));
  expect(await getCredentials(cloud, revoked)).toEqual(forbidden("Access Denied"));
  expect(cloud.refused).toMatchObject([
    { kind: "credentials", certificateId, resource: "agent-data" },
    { kind: "credentials", certificateId, resource: "other" },
    { kind: "credentials", certificateId, resource: "agent-data" },
    { kind: "credentials", certificateId: revoked.certificateId, reason: "the certificate is not active" },
  ]);
});

test("a role that cannot be assumed is reported as a client error, as by AWS", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  cloud.roles.assumable = false;
  expect(await getCredentials(cloud, device)).toMatchObject({
    status: 400,
    body: { message: "Unable to assume the role, or the role to assume does not exist" },
  });
});

test("a client without a certificate of the authority gets no answer", async () => {
  await using cloud = await TestCloud.start();
  const { key } = await newKeyAndCsr("alpha");
  const other = await enrol(cloud, "alpha");
  await expect(getCredentials(cloud, { key, certificatePem: other.certificatePem })).rejects.toThrow();
  await expect(getCredentials(cloud, { key: "", certificatePem: "" })).rejects.toThrow();
});
