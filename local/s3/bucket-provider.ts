import type * as z from "zod";
import { AwsError } from "../core/aws-error.ts";
import {
  type Clock,
  type ProvisionedResource,
  REGION,
  type Resource,
  type ResourceProvider,
} from "../core/service.ts";
import { BucketPolicyProperties, BucketProperties } from "./bucket-properties.ts";
import type { BucketRegistry } from "./buckets.ts";
import type { Bucket } from "./model.ts";
import { isBucketName } from "./names.ts";
import { S3Error } from "./s3-error.ts";

/** Creates and updates buckets and their policies. No change removes a bucket's objects. */
export class BucketProvider implements ResourceProvider {
  readonly types = ["AWS::S3::Bucket", "AWS::S3::BucketPolicy"];
  readonly #buckets: BucketRegistry;
  readonly #clock: Clock;

  constructor(options: { buckets: BucketRegistry; clock: Clock }) {
    this.#buckets = options.buckets;
    this.#clock = options.clock;
  }

  /** Rejects with a `ValidationError` that names the unknown or wrong property. */
  async provision(resource: Resource): Promise<ProvisionedResource> {
    return resource.type === "AWS::S3::BucketPolicy" ? this.#policy(resource) : this.#bucket(resource);
  }

  async #bucket(resource: Resource): Promise<ProvisionedResource> {
    const properties = parse(BucketProperties, resource);
    const name = properties.BucketName ?? resource.generatedName;
    if (!isBucketName(name)) throw new S3Error("InvalidBucketName", `'${name}' is not a bucket name.`);
    const existing = this.#buckets.find(name);
    const rules = properties.LifecycleConfiguration?.Rules ?? [];
    const bucket: Bucket = {
      name,
      createdAt: existing?.createdAt ?? this.#clock.now(),
      versioning: properties.VersioningConfiguration?.Status ?? withoutVersioning(existing),
      encryption: properties.BucketEncryption?.ServerSideEncryptionConfiguration[0] ?? {
        algorithm: "AES256",
      },
      lifecycle: rules.filter(({ enabled }) => enabled).map(({ rule }) => rule),
      // No policy: its own resource is provisioned later, and a policy that the template no longer has must
      // not survive.
    };
    await this.#buckets.save(bucket);
    return {
      ref: name,
      attributes: {
        Arn: `arn:aws:s3:::${name}`,
        DomainName: `${name}.s3.amazonaws.com`,
        RegionalDomainName: `${name}.s3.${REGION}.amazonaws.com`,
      },
    };
  }

  async #policy(resource: Resource): Promise<ProvisionedResource> {
    const { Bucket: name, PolicyDocument: policy } = parse(BucketPolicyProperties, resource);
    await this.#buckets.save({ ...this.#buckets.require(name), policy });
    return { ref: name, attributes: {} };
  }
}

/**
 * A bucket that was once versioned keeps its versions. Without the property, versioning is suspended, as in
 * S3.
 */
function withoutVersioning(existing: Bucket | undefined): Bucket["versioning"] {
  return existing && existing.versioning !== "Off" ? "Suspended" : "Off";
}

function parse<T>(schema: z.ZodType<T>, { type, logicalId, properties }: Resource): T {
  const result = schema.safeParse(properties);
  if (result.success) return result.data;
  const issues = result.error.issues.map(
    ({ path, message }) => `${path.join(".") || "properties"}: ${message}`,
  );
  throw new AwsError("ValidationError", `${type} ${logicalId}: ${issues.join("; ")}`, 400, {
    cause: result.error,
  });
}
