import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountRoot, policy, SmallCloud } from "#local/gateway/testing/small-cloud.ts";
import { KmsKeys } from "./kms-keys.ts";

let cloud: SmallCloud;
let keyArn: string;
let roleArn: string;

beforeAll(async () => {
  cloud = await SmallCloud.start();
  const anyone = {
    Effect: "Allow" as const,
    Principal: { AWS: accountRoot },
    Action: "kms:*",
    Resource: "*",
  };
  const key = await cloud.provision("AWS::KMS::Key", "Key", {
    EnableKeyRotation: true,
    KeyPolicy: policy(anyone),
  });
  keyArn = key.attributes.Arn ?? "";
  roleArn = await cloud.addRole("agent", {
    Effect: "Allow",
    Action: ["kms:GenerateDataKey", "kms:Decrypt"],
    Resource: keyArn,
  });
});
afterAll(() => cloud[Symbol.asyncDispose]());

const keysAt = (endpoint: string, role = roleArn): KmsKeys => {
  const { region } = cloud.config({ accessKeyId: "", secretAccessKey: "", sessionToken: "" });
  const credentials = async () => cloud.credentials(role);
  return new KmsKeys({ region, endpoint, credentials, keyId: keyArn, now: () => cloud.clock.now() });
};

test("a data key is made, and unwrapped again for the same source server only", async () => {
  const keys = keysAt(cloud.url);
  const { plaintext, wrapped, keyId } = await keys.generate({ sourceId: "web-1" });
  expect(plaintext).toHaveLength(32);
  expect(keyId).toBe(keyArn);
  expect(await keys.decrypt(wrapped, { sourceId: "web-1" }, keyId)).toEqual(plaintext);
  await expect(keys.decrypt(wrapped, { sourceId: "web-2" }, keyId)).rejects.toThrow(
    expect.objectContaining({
      name: "ForbiddenError",
      message: expect.stringContaining("InvalidCiphertext"),
    }),
  );
});

test("an agent without the right to use the key gets ForbiddenError", async () => {
  const stranger = await cloud.addRole("stranger");
  await expect(keysAt(cloud.url, stranger).generate({ sourceId: "web-1" })).rejects.toThrow(
    expect.objectContaining({ name: "ForbiddenError", message: expect.stringContaining("AccessDenied") }),
  );
});

test("a KMS that is away, fails or throttles is unavailable", async () => {
  const answers = [
    { status: 500, body: '{"__type":"KMSInternalException"}' },
    { status: 400, body: '{"__type":"com.amazonaws.kms#ThrottlingException","message":"slow down"}' },
    { status: 503, body: "<html>no JSON</html>" },
  ];
  const server = createServer((_, response) => {
    const { status, body } = answers.shift() ?? { status: 200, body: "" };
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const keys = keysAt(url);
  const unavailable = expect.objectContaining({ name: "ServiceUnavailableError" });
  while (answers.length > 0) {
    await expect(keys.generate({ sourceId: "web-1" })).rejects.toThrow(unavailable);
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await expect(keys.generate({ sourceId: "web-1" })).rejects.toThrow(unavailable);
});
