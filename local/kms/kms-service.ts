import * as z from "zod";
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
import { publicKeyOf, SIGNING_ALGORITHM, signWith } from "./key-pair.ts";
import type { Key, KeyRegistry, KeySpec } from "./key-registry.ts";
import type { KeyStore, KeyVersion } from "./key-store.ts";

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
const SignInput = z.strictObject({
  KeyId,
  Message: Blob.refine((bytes) => bytes.length >= 1 && bytes.length <= 4096, "must have 1 to 4096 bytes"),
  MessageType: z.enum(["RAW", "DIGEST", "EXTERNAL_MU"]).default("RAW"),
  SigningAlgorithm: z.string(),
});
const KeyInput = z.strictObject({ KeyId });

/**
 * AWS KMS. Symmetric keys create data keys, encrypt and decrypt, with an authenticated encryption context as
 * on AWS. Key pairs sign and return their public key. Both can be described.
 */
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

  /**
   * For services that encrypt with their caller's key, such as S3. Throws unless the caller may use the key
   * this way.
   */
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
    requireSpec(key, "SYMMETRIC_DEFAULT", action);
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
      case "Sign":
        return this.#sign(caller, parseInput(call, SignInput));
      case "GetPublicKey":
        return this.#getPublicKey(caller, parseInput(call, KeyInput).KeyId);
      case "DescribeKey":
        return this.#describeKey(caller, parseInput(call, KeyInput).KeyId);
      default:
        throw new UnsupportedError(`the KMS operation ${call.operation}`);
    }
  }

  #encrypt(caller: Caller, input: z.output<typeof EncryptInput>) {
    const key = this.#encrypting(caller, "Encrypt", input.KeyId, input.EncryptionContext);
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
    const key = this.#encrypting(caller, "Decrypt", keyId, input.EncryptionContext);
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
    const key = this.#encrypting(caller, operation, input.KeyId, input.EncryptionContext);
    const plaintext = this.#randomness(NumberOfBytes ?? (KeySpec === "AES_128" ? 16 : 32));
    const blob = this.#seal(key, input.EncryptionContext, plaintext);
    return {
      KeyId: key.arn,
      CiphertextBlob: blob.toString("base64"),
      Plaintext: plaintext.toString("base64"),
    };
  }

  #sign(caller: Caller, input: z.output<typeof SignInput>) {
    const { KeyId, Message, MessageType, SigningAlgorithm } = input;
    const context = { "kms:MessageType": MessageType, "kms:SigningAlgorithm": SigningAlgorithm };
    const key = this.#usable(caller, "Sign", KeyId, "ECC_NIST_P256", context);
    if (SigningAlgorithm !== SIGNING_ALGORITHM)
      throw new AwsError("InvalidKeyUsageException", `${key.arn} cannot sign with ${SigningAlgorithm}.`);
    if (MessageType !== "RAW") throw new UnsupportedError(`the KMS message type ${MessageType}`);
    return {
      KeyId: key.arn,
      Signature: signWith(this.#material(key), Message).toString("base64"),
      SigningAlgorithm,
    };
  }

  #getPublicKey(caller: Caller, reference: string) {
    const key = this.#authorized(caller, "GetPublicKey", reference, {});
    if (key.spec !== "ECC_NIST_P256")
      throw new AwsError("UnsupportedOperationException", `${key.arn} is symmetric and has no public key.`);
    if (!key.enabled) throw disabled(key);
    return {
      KeyId: key.arn,
      PublicKey: publicKeyOf(this.#material(key)).toString("base64"),
      CustomerMasterKeySpec: key.spec,
      KeySpec: key.spec,
      KeyUsage: "SIGN_VERIFY",
      SigningAlgorithms: [SIGNING_ALGORITHM],
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
        ...(key.spec === "SYMMETRIC_DEFAULT"
          ? { EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"], KeyUsage: "ENCRYPT_DECRYPT" }
          : { SigningAlgorithms: [SIGNING_ALGORITHM], KeyUsage: "SIGN_VERIFY" }),
        KeyManager: "CUSTOMER",
        KeySpec: key.spec,
        CustomerMasterKeySpec: key.spec,
        KeyState: key.enabled ? "Enabled" : "Disabled",
        MultiRegion: false,
        Origin: "AWS_KMS",
      },
    };
  }

  #seal(key: Key, context: EncryptionContext, plaintext: Buffer): Buffer {
    const newest = this.#newest(key);
    return seal(key.id, newest, this.#randomness(12), context, plaintext);
  }

  #material(key: Key): Buffer {
    return this.#newest(key).material;
  }

  #newest(key: Key): KeyVersion {
    const newest = this.#store.versions(key.id).at(-1);
    if (!newest) throw new AwsError("KMSInternalException", `the key ${key.arn} has no material`, 500);
    return newest;
  }

  #encrypting(caller: Caller, operation: string, reference: string, context: EncryptionContext): Key {
    return this.#usable(caller, operation, reference, "SYMMETRIC_DEFAULT", conditionKeys(context));
  }

  /** Returns the key. Throws unless the caller may use it this way and it is of this kind. */
  #usable(
    caller: Caller,
    operation: string,
    reference: string,
    spec: KeySpec,
    context: Record<string, string | string[]>,
  ): Key {
    const key = this.#authorized(caller, operation, reference, context);
    if (!key.enabled) throw disabled(key);
    requireSpec(key, spec, operation);
    return key;
  }

  #authorized(
    caller: Caller,
    operation: string,
    reference: string,
    context: Record<string, string | string[]>,
  ): Key {
    const key = this.#keys.find(reference);
    this.#authorizer.authorize(caller, {
      action: `kms:${operation}`,
      resource: key.arn,
      resourcePolicy: key.policy,
      context: { "kms:CallerAccount": ACCOUNT_ID, ...context },
    });
    return key;
  }
}

function requireSpec(key: Key, spec: KeySpec, action: string): void {
  if (key.spec !== spec)
    throw new AwsError("InvalidKeyUsageException", `${key.arn} is of ${key.spec}: not for ${action}.`);
}

function disabled(key: Key): AwsError {
  return new AwsError("DisabledException", `${key.arn} is disabled.`);
}

function conditionKeys(context: EncryptionContext): Record<string, string | string[]> {
  const pairs = Object.entries(context);
  const keys: Record<string, string | string[]> = {};
  for (const [name, value] of pairs) keys[`kms:EncryptionContext:${name}`] = value;
  if (pairs.length > 0) keys["kms:EncryptionContextKeys"] = pairs.map(([name]) => name);
  return keys;
}
