import * as z from "zod";
import {
  booleanProperty,
  numberProperty,
  parseProperties,
  tagsProperty,
} from "../core/resource-properties.ts";
import {
  ACCOUNT_ID,
  type PolicyDocument,
  type ProvisionedResource,
  REGION,
  type Resource,
  type ResourceProvider,
} from "../core/service.ts";
import { compilePolicy, PolicyDocumentSchema } from "../iam/policy-document.ts";
import { createKeyPair } from "./key-pair.ts";
import type { KeyRegistry } from "./key-registry.ts";
import { type KeyStore, keyIdFor } from "./key-store.ts";

const KeyProperties = z
  .strictObject({
    Description: z.string().default(""),
    Enabled: booleanProperty.default(true),
    EnableKeyRotation: booleanProperty.default(false),
    KeyPolicy: PolicyDocumentSchema.optional(),
    KeySpec: z.enum(["SYMMETRIC_DEFAULT", "ECC_NIST_P256"]).default("SYMMETRIC_DEFAULT"),
    KeyUsage: z.enum(["ENCRYPT_DECRYPT", "SIGN_VERIFY"]).default("ENCRYPT_DECRYPT"),
    PendingWindowInDays: numberProperty.optional(),
    RotationPeriodInDays: numberProperty.default(365),
    Tags: tagsProperty.optional(),
  })
  .refine(({ KeySpec, KeyUsage }) => (KeyUsage === "SIGN_VERIFY") === (KeySpec === "ECC_NIST_P256"), {
    path: ["KeyUsage"],
    message: "SIGN_VERIFY goes with ECC_NIST_P256, ENCRYPT_DECRYPT with SYMMETRIC_DEFAULT",
  })
  .refine(({ KeySpec, EnableKeyRotation }) => KeySpec === "SYMMETRIC_DEFAULT" || !EnableKeyRotation, {
    path: ["EnableKeyRotation"],
    message: "a key pair cannot be rotated",
  });

const AliasProperties = z.strictObject({
  AliasName: z.string().regex(/^alias\/[\w/-]+$/),
  TargetKeyId: z.string(),
});

const DAY_MS = 86_400_000;

/**
 * `AWS::KMS::Alias` and `AWS::KMS::Key`: a symmetric key, rotated at start-up when due, or a signing key
 * pair.
 */
export class KmsProvider implements ResourceProvider {
  readonly types = ["AWS::KMS::Key", "AWS::KMS::Alias"];
  readonly #keys: KeyRegistry;
  readonly #store: KeyStore;

  constructor(options: { keys: KeyRegistry; store: KeyStore }) {
    this.#keys = options.keys;
    this.#store = options.store;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    return resource.type === "AWS::KMS::Key" ? this.#key(resource) : this.#alias(resource);
  }

  #key(resource: Resource): ProvisionedResource {
    const properties = parseProperties(resource, KeyProperties);
    const { KeySpec: spec } = properties;
    // A new spec creates a new key, as on AWS.
    const id = keyIdFor(
      spec === "SYMMETRIC_DEFAULT" ? resource.generatedName : `${resource.generatedName}/${spec}`,
    );
    const arn = `arn:aws:kms:${REGION}:${ACCOUNT_ID}:key/${id}`;
    const policy = properties.KeyPolicy ?? accountPolicy();
    compilePolicy(policy);
    const { Description: description, Enabled: enabled } = properties;
    this.#store.ensure(id, {
      ...(properties.EnableKeyRotation ? { rotationPeriodMs: properties.RotationPeriodInDays * DAY_MS } : {}),
      ...(spec === "ECC_NIST_P256" ? { make: createKeyPair } : {}),
    });
    this.#keys.add({ id, arn, description, enabled, spec, policy });
    return { ref: id, attributes: { Arn: arn, KeyId: id } };
  }

  #alias(resource: Resource): ProvisionedResource {
    const { AliasName, TargetKeyId } = parseProperties(resource, AliasProperties);
    this.#keys.addAlias(AliasName, TargetKeyId);
    return { ref: AliasName, attributes: {} };
  }
}

/** The policy that KMS gives a key by default: the account's IAM policies decide. */
function accountPolicy(): PolicyDocument {
  const Principal = { AWS: `arn:aws:iam::${ACCOUNT_ID}:root` };
  return {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal, Action: "kms:*", Resource: "*" }],
  };
}
