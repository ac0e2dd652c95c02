import { z } from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import {
  type JsonCall,
  jsonErrorResponse,
  jsonResponse,
  parseInput,
  readJsonCall,
} from "../core/json-protocol.ts";
import type { Randomness } from "../core/randomness.ts";
import {
  ACCOUNT_ID,
  type Authorizer,
  type Caller,
  type Service,
  type ServiceRequest,
  type ServiceResponse,
} from "../core/service.ts";
import { type EncryptionContext, invalidCiphertext, keyOf, open, seal } from "./ciphertext.ts";
import type { Key, KeyRegistry } from "./key-registry.ts";
import type { KeyStore } from "./key-store.ts";

const KeyId = z.string().min(1).max(2048);
const Context = z.record(z.string(), z.string()).default({});
const Blob = z.base64().transform((text) => Buffer.from(text, "base64"));
const Algorithm = z.literal("SYMMETRIC_DEFAULT").optional();

const EncryptInput = z.strictObject({
  KeyId,
  Plaintext: Blob.refine((bytes) => bytes.length >= 1 && bytes.length <= 4096, "must have 1 to 4096 bytes"),
  EncryptionContext: Context,
  EncryptionAlgorithm: Algorithm,
});
const DecryptInput = z.strictObject({
  CiphertextBlob: Blob,
  KeyId: KeyId.optional(),
  EncryptionContext: Context,
  EncryptionAlgorithm: Algorithm,
});
const DataKeyInput = z.strictObject({
  KeyId,
  EncryptionContext: Context,
  KeySpec: z.enum(["AES_256", "AES_128"]).optional(),
  NumberOfBytes: z.int().min(1).max(1024).optional(),
});
const DescribeKeyInput = z.strictObject({ KeyId });

/** AWS KMS: data keys, encrypt, decrypt and describe, with symmetric keys. The encryption context is authenticated, as on AWS. */
export class KmsService implements Service {
  readonly name = "kms";
  readonly #keys: KeyRegistry;
  readonly #store: KeyStore;
  readonly #authorizer: Authorizer;
  readonly #randomness: Randomness;

  constructor(options: {
    keys: KeyRegistry;
    store: KeyStore;
    authorizer: Authorizer;
    randomness: Randomness;
  }) {
    this.#keys = options.keys;
    this.#store = options.store;
    this.#authorizer = options.authorizer;
    this.#randomness = options.randomness;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const call = await readJsonCall(request, "TrentService");
    return jsonResponse(this.#run(request.caller, call), "1.1");
  }

  renderError(error: unknown): ServiceResponse {
    return jsonErrorResponse(error, "1.1");
  }

  async close(): Promise<void> {}

  /** For services that encrypt with a key of their caller's, as S3 does: throws unless the caller may use the key so. */
  authorizeKeyUse(
    caller: Caller,
    { action, keyId, context }: { action: string; keyId: string; context: Record<string, string> },
  ): void {
    const key = this.#keys.find(keyId);
    this.#authorizer.authorize(caller, {
      action,
      resource: key.arn,
      resourcePolicy: key.policy,
      context: { "kms:CallerAccount": ACCOUNT_ID, ...context },
    });
  }

  #run(caller: Caller, call: JsonCall): unknown {
    switch (call.operation) {
      case "Encrypt":
        return this.#encrypt(caller, parseInput(call, EncryptInput));
      case "Decrypt":
        return this.#decrypt(caller, parseInput(call, DecryptInput));
      case "GenerateDataKey":
        return this.#generateDataKey(caller, call.operation, parseInput(call, DataKeyInput));
      case "GenerateDataKeyWithoutPlaintext": {
        const { Plaintext: _, ...rest } = this.#generateDataKey(
          caller,
          call.operation,
          parseInput(call, DataKeyInput),
        );
        return rest;
      }
      case "DescribeKey":
        return this.#describeKey(caller, parseInput(call, DescribeKeyInput).KeyId);
      default:
        throw new UnsupportedError(`the KMS operation ${call.operation}`);
    }
  }

  #encrypt(caller: Caller, input: z.output<typeof EncryptInput>) {
    const key = this.#usable(caller, "Encrypt", input.KeyId, input.EncryptionContext);
    const blob = this.#seal(key, input.EncryptionContext, input.Plaintext);
    return {
      KeyId: key.arn,
      CiphertextBlob: blob.toString("base64"),
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    };
  }

  #decrypt(caller: Caller, input: z.output<typeof DecryptInput>) {
    const { keyId, version } = keyOf(input.CiphertextBlob);
    if (input.KeyId !== undefined && this.#keys.find(input.KeyId).id !== keyId) {
      throw new AwsError("IncorrectKeyException", "the ciphertext was made with another key");
    }
    const key = this.#usable(caller, "Decrypt", keyId, input.EncryptionContext);
    const keyVersion = this.#store.versions(keyId).find((candidate) => candidate.version === version);
    if (!keyVersion) throw invalidCiphertext();
    const plaintext = open(input.CiphertextBlob, keyVersion, input.EncryptionContext);
    return {
      KeyId: key.arn,
      Plaintext: plaintext.toString("base64"),
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    };
  }

  #generateDataKey(caller: Caller, operation: string, input: z.output<typeof DataKeyInput>) {
    const { KeySpec, NumberOfBytes } = input;
    if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
      throw new AwsError("ValidationException", "Please specify either number of bytes or key spec.");
    }
    const key = this.#usable(caller, operation, input.KeyId, input.EncryptionContext);
    const plaintext = this.#randomness(NumberOfBytes ?? (KeySpec === "AES_128" ? 16 : 32));
    const blob = this.#seal(key, input.EncryptionContext, plaintext);
    return {
      KeyId: key.arn,
      CiphertextBlob: blob.toString("base64"),
      Plaintext: plaintext.toString("base64"),
    };
  }

  #describeKey(caller: Caller, reference: string) {
    const key = this.#authorized(caller, "DescribeKey", reference, {});
    const [first] = this.#store.versions(key.id);
    return {
      KeyMetadata: {
        AWSAccountId: ACCOUNT_ID,
        KeyId: key.id,
        Arn: key.arn,
        CreationDate: (first?.createdAt ?? 0) / 1000,
        Description: key.description,
        Enabled: key.enabled,
        EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
        KeyManager: "CUSTOMER",
        KeySpec: "SYMMETRIC_DEFAULT",
        CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
        KeyState: key.enabled ? "Enabled" : "Disabled",
        KeyUsage: "ENCRYPT_DECRYPT",
        MultiRegion: false,
        Origin: "AWS_KMS",
      },
    };
  }

  #seal(key: Key, context: EncryptionContext, plaintext: Buffer): Buffer {
    const newest = this.#store.versions(key.id).at(-1);
    if (!newest) throw new AwsError("KMSInternalException", `the key ${key.arn} has no material`, 500);
    return seal(key.id, newest, this.#randomness(12), context, plaintext);
  }

  #usable(caller: Caller, operation: string, reference: string, context: EncryptionContext): Key {
    const key = this.#authorized(caller, operation, reference, context);
    if (!key.enabled) throw new AwsError("DisabledException", `${key.arn} is disabled.`);
    return key;
  }

  #authorized(caller: Caller, operation: string, reference: string, context: EncryptionContext): Key {
    const key = this.#keys.find(reference);
    this.#authorizer.authorize(caller, {
      action: `kms:${operation}`,
      resource: key.arn,
      resourcePolicy: key.policy,
      context: conditionKeys(context),
    });
    return key;
  }
}

function conditionKeys(context: EncryptionContext): Record<string, string | string[]> {
  const pairs = Object.entries(context);
  const keys: Record<string, string | string[]> = { "kms:CallerAccount": ACCOUNT_ID };
  for (const [name, value] of pairs) keys[`kms:EncryptionContext:${name}`] = value;
  if (pairs.length > 0) keys["kms:EncryptionContextKeys"] = pairs.map(([name]) => name);
  return keys;
}
