import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  KMSClient,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountRoot, policy, SmallCloud } from "../gateway/testing/small-cloud.ts";

let cloud: SmallCloud;
let key: { ref: string; attributes: Record<string, string> };
let kms: KMSClient;

const keyProperties = {
  EnableKeyRotation: true,
  KeyPolicy: policy({ Effect: "Allow", Principal: { AWS: accountRoot }, Action: "kms:*", Resource: "*" }),
};

beforeAll(async () => {
  cloud = await SmallCloud.start();
  key = await cloud.provision("AWS::KMS::Key", "Key", keyProperties);
  await cloud.provision("AWS::KMS::Alias", "Alias", {
    AliasName: "alias/data",
    TargetKeyId: key.attributes.Arn,
  });
  kms = new KMSClient(await cloud.clientFor("all", { Effect: "Allow", Action: "kms:*", Resource: "*" }));
});
afterAll(() => cloud[Symbol.asyncDispose]());

const EncryptionContext = { server: "web-1", purpose: "blocks" };

test("a data key comes back from its ciphertext with the same encryption context, in any order", async () => {
  const made = await kms.send(
    new GenerateDataKeyCommand({ KeyId: "alias/data", KeySpec: "AES_256", EncryptionContext }),
  );
  expect(made.Plaintext).toHaveLength(32);
  expect(made.KeyId).toBe(key.attributes.Arn);
  const reordered = { purpose: "blocks", server: "web-1" };
  const { Plaintext } = await kms.send(
    new DecryptCommand({ CiphertextBlob: made.CiphertextBlob, EncryptionContext: reordered }),
  );
  expect(Plaintext).toEqual(made.Plaintext);
});

test("a data key without plaintext has none", async () => {
  const made = await kms.send(
    new GenerateDataKeyWithoutPlaintextCommand({ KeyId: key.ref, NumberOfBytes: 64 }),
  );
  expect(made).not.toHaveProperty("Plaintext");
  const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob }));
  expect(Plaintext).toHaveLength(64);
});

test("another encryption context, or a single changed bit, is refused", async () => {
  const { CiphertextBlob = new Uint8Array() } = await kms.send(
    new EncryptCommand({ KeyId: key.ref, Plaintext: Buffer.from("secret"), EncryptionContext }),
  );
  const decrypt = (blob: Uint8Array, context = EncryptionContext) =>
    kms.send(new DecryptCommand({ CiphertextBlob: blob, EncryptionContext: context }));
  await expect(decrypt(CiphertextBlob)).resolves.toMatchObject({
    Plaintext: new Uint8Array(Buffer.from("secret")),
  });
  await expect(decrypt(CiphertextBlob, { ...EncryptionContext, server: "web-2" })).rejects.toMatchObject({
    name: "InvalidCiphertextException",
  });
  for (const at of [0, 5, 20, 25, 40, CiphertextBlob.length - 1]) {
    const altered = Uint8Array.from(CiphertextBlob, (byte, index) => (index === at ? byte ^ 1 : byte));
    await expect(decrypt(altered)).rejects.toThrow();
  }
  await expect(decrypt(CiphertextBlob.slice(0, 30))).rejects.toMatchObject({
    name: "InvalidCiphertextException",
  });
});

test("a ciphertext is refused under the name of another key", async () => {
  const other = await cloud.provision("AWS::KMS::Key", "Other", {});
  const { CiphertextBlob } = await kms.send(
    new EncryptCommand({ KeyId: key.ref, Plaintext: Buffer.from("a") }),
  );
  await expect(kms.send(new DecryptCommand({ CiphertextBlob, KeyId: other.ref }))).rejects.toMatchObject({
    name: "IncorrectKeyException",
  });
});

test("a grant may be bound to an encryption context", async () => {
  const bound = new KMSClient(
    await cloud.clientFor("bound", {
      Effect: "Allow",
      Action: "kms:GenerateDataKey",
      Resource: key.attributes.Arn ?? "",
      Condition: {
        StringEquals: { "kms:EncryptionContext:server": "web-1" },
        "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["server"] },
      },
    }),
  );
  const generate = (context?: Record<string, string>) =>
    bound.send(
      new GenerateDataKeyCommand({ KeyId: key.ref, KeySpec: "AES_256", EncryptionContext: context }),
    );
  await expect(generate({ server: "web-1" })).resolves.toBeDefined();
  const wrong: (Record<string, string> | undefined)[] = [
    undefined,
    { server: "web-2" },
    { server: "web-1", more: "x" },
  ];
  for (const context of wrong) {
    await expect(generate(context)).rejects.toMatchObject({ name: "AccessDeniedException" });
  }
});

test("describing tells the state of a key, and an unknown key is not found", async () => {
  const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: "alias/data" }));
  expect(KeyMetadata).toMatchObject({ Arn: key.attributes.Arn, Enabled: true, KeyState: "Enabled" });
  await expect(kms.send(new DescribeKeyCommand({ KeyId: "alias/none" }))).rejects.toMatchObject({
    name: "NotFoundException",
  });
});

test("a disabled key does nothing", async () => {
  const disabled = await cloud.provision("AWS::KMS::Key", "Disabled", { Enabled: "false" });
  const encrypt = new EncryptCommand({ KeyId: disabled.ref, Plaintext: Buffer.from("a") });
  await expect(kms.send(encrypt)).rejects.toMatchObject({ name: "DisabledException" });
});

test("after a restart, and after rotation, old ciphertexts still open", async () => {
  const all = { Effect: "Allow", Action: "kms:*", Resource: "*" } as const;
  const first = await SmallCloud.start();
  const old = await first.provision("AWS::KMS::Key", "Key", keyProperties);
  const { CiphertextBlob } = await new KMSClient(await first.clientFor("user", all)).send(
    new EncryptCommand({ KeyId: old.ref, Plaintext: Buffer.from("kept") }),
  );
  expect((await stat(join(first.directory, "kms", "keys.json"))).mode & 0o777).toBe(0o600);
  await first.stop();
  await first.clock.advance(366 * 86_400_000);
  await using second = await SmallCloud.start({ directory: first.directory, clock: first.clock });
  const same = await second.provision("AWS::KMS::Key", "Key", keyProperties);
  expect(same).toEqual(old);
  const config = await second.clientFor("user", all);
  // The SDK learns the time from each answer's Date header, so every call gets a client of its own.
  const client = () => new KMSClient({ ...config, systemClockOffset: 366 * 86_400_000 } as typeof config);
  const { Plaintext } = await client().send(new DecryptCommand({ CiphertextBlob }));
  expect(Buffer.from(Plaintext ?? []).toString()).toBe("kept");
  const fresh = await client().send(new EncryptCommand({ KeyId: same.ref, Plaintext: Buffer.from("new") }));
  // Byte 20 ends the key version in the blob's header.
  expect([CiphertextBlob?.[20], fresh.CiphertextBlob?.[20]]).toEqual([1, 2]);
});
