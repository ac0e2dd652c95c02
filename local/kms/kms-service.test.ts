import { createPublicKey, verify } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetPublicKeyCommand,
  KMSClient,
  SignCommand,
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

test("a policy may allow a key's use only for one encryption context", async () => {
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

test("DescribeKey returns a key's state, and an unknown key is not found", async () => {
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

test("a key still decrypts old ciphertexts after a restart and after a rotation", async () => {
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
  // The SDK adjusts its clock to each answer's Date header, so every call gets its own client.
  const client = () => new KMSClient({ ...config, systemClockOffset: 366 * 86_400_000 } as typeof config);
  const { Plaintext } = await client().send(new DecryptCommand({ CiphertextBlob }));
  expect(Buffer.from(Plaintext ?? []).toString()).toBe("kept");
  const fresh = await client().send(new EncryptCommand({ KeyId: same.ref, Plaintext: Buffer.from("new") }));
  // Byte 20 ends the key version in the blob's header.
  expect([CiphertextBlob?.[20], fresh.CiphertextBlob?.[20]]).toEqual([1, 2]);
});

// --- Key pairs ---------------------------------------------------------------------------------------------------

const pairProperties = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" };
const Message = Buffer.from("restart the machine");
const SigningAlgorithm = "ECDSA_SHA_256";

function isSignedBy(publicKey: Uint8Array = new Uint8Array(), signature: Uint8Array = new Uint8Array()) {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  return verify("sha256", Message, key, signature);
}

test("a key pair's public part verifies its signatures, and both parts are the same after a restart", async () => {
  const all = { Effect: "Allow", Action: "kms:*", Resource: "*" } as const;
  const first = await SmallCloud.start();
  const pair = await first.provision("AWS::KMS::Key", "Pair", pairProperties);
  const signer = new KMSClient(await first.clientFor("user", all));
  const { Signature, KeyId } = await signer.send(
    new SignCommand({ KeyId: pair.ref, Message, SigningAlgorithm }),
  );
  expect(KeyId).toBe(pair.attributes.Arn);
  await first.stop();
  await using second = await SmallCloud.start({ directory: first.directory, clock: first.clock });
  expect(await second.provision("AWS::KMS::Key", "Pair", pairProperties)).toEqual(pair);
  const reader = new KMSClient(await second.clientFor("user", all));
  const { PublicKey, ...facts } = await reader.send(new GetPublicKeyCommand({ KeyId: pair.ref }));
  expect(isSignedBy(PublicKey, Signature)).toBe(true);
  expect(facts).toMatchObject({
    KeySpec: "ECC_NIST_P256",
    KeyUsage: "SIGN_VERIFY",
    SigningAlgorithms: ["ECDSA_SHA_256"],
  });
  const { KeyMetadata } = await reader.send(new DescribeKeyCommand({ KeyId: pair.ref }));
  expect(KeyMetadata).toMatchObject({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
  expect(KeyMetadata).not.toHaveProperty("EncryptionAlgorithms");
});

test("a key supports only the operations of its kind", async () => {
  const pair = await cloud.provision("AWS::KMS::Key", "Pair", pairProperties);
  const wrongUse = { name: "InvalidKeyUsageException" };
  const sign = (change: object) =>
    kms.send(new SignCommand({ KeyId: pair.ref, Message, SigningAlgorithm, ...change }));
  await expect(sign({ KeyId: key.ref })).rejects.toMatchObject(wrongUse);
  await expect(sign({ SigningAlgorithm: "ECDSA_SHA_384" })).rejects.toMatchObject(wrongUse);
  await expect(sign({ MessageType: "DIGEST" })).rejects.toThrow("does not support");
  await expect(sign({ Message: Buffer.alloc(4097) })).rejects.toThrow("4096");
  await expect(sign({ GrantTokens: ["x"] })).rejects.toThrow();
  await expect(
    kms.send(new EncryptCommand({ KeyId: pair.ref, Plaintext: Buffer.from("a") })),
  ).rejects.toMatchObject(wrongUse);
  await expect(
    kms.send(new GenerateDataKeyCommand({ KeyId: pair.ref, KeySpec: "AES_256" })),
  ).rejects.toMatchObject(wrongUse);
  await expect(kms.send(new GetPublicKeyCommand({ KeyId: key.ref }))).rejects.toMatchObject({
    name: "UnsupportedOperationException",
  });
});

test("a disabled key pair neither signs nor returns its public key", async () => {
  const { ref: KeyId } = await cloud.provision("AWS::KMS::Key", "DisabledPair", {
    ...pairProperties,
    Enabled: "false",
  });
  const disabled = { name: "DisabledException" };
  await expect(kms.send(new GetPublicKeyCommand({ KeyId }))).rejects.toMatchObject(disabled);
  await expect(kms.send(new SignCommand({ KeyId, Message, SigningAlgorithm }))).rejects.toMatchObject(
    disabled,
  );
});

test("a role that may read the public key may not sign, and a policy may allow only one algorithm", async () => {
  const { attributes, ref: KeyId } = await cloud.provision("AWS::KMS::Key", "Pair", pairProperties);
  const Resource = attributes.Arn ?? "";
  const clientWith = async (name: string, statement: object) =>
    new KMSClient(await cloud.clientFor(name, { Effect: "Allow", Resource, ...statement } as never));
  const sign = new SignCommand({ KeyId, Message, SigningAlgorithm });
  const denied = { name: "AccessDeniedException" };
  const reader = await clientWith("reader", { Action: "kms:GetPublicKey" });
  await expect(reader.send(new GetPublicKeyCommand({ KeyId }))).resolves.toBeDefined();
  await expect(reader.send(sign)).rejects.toMatchObject(denied);
  const bound = (algorithm: string) => ({
    Action: "kms:Sign",
    Condition: { StringEquals: { "kms:SigningAlgorithm": algorithm, "kms:MessageType": "RAW" } },
  });
  await expect((await clientWith("same", bound("ECDSA_SHA_256"))).send(sign)).resolves.toBeDefined();
  await expect((await clientWith("other", bound("ECDSA_SHA_384"))).send(sign)).rejects.toMatchObject(denied);
});

test.each([
  { KeySpec: "ECC_NIST_P256" },
  { KeyUsage: "SIGN_VERIFY" },
  { ...pairProperties, EnableKeyRotation: true },
  { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" },
])("a template's key %j is refused", async (properties) => {
  await expect(cloud.provision("AWS::KMS::Key", "Wrong", properties)).rejects.toThrow();
});
