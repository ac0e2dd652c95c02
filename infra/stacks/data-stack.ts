import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table } from "aws-cdk-lib/aws-dynamodb";
import { AnyPrincipal, Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Key, KeySpec, KeyUsage } from "aws-cdk-lib/aws-kms";
import { BlockPublicAccess, Bucket, BucketEncryption } from "aws-cdk-lib/aws-s3";
import { Topic } from "aws-cdk-lib/aws-sns";
import type { Construct } from "constructs";
import { COLLECTED, COLLECTIONS_PREFIX, COLLECTOR_ROLE } from "../names.ts";

/**
 * The resources that must outlive all others: job state, repositories, and the key that wraps the data keys.
 */
export class DataStack extends Stack {
  readonly table: Table;
  readonly bucket: Bucket;
  readonly key: Key;
  /** The command key: agents know its public key from their enrolment and obey only what it signs. */
  readonly commandKey: Key;
  /** Notices of alarms. Operators subscribe to it, so it outlives the functions that publish. */
  readonly alarms: Topic;

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    this.table = new Table(this, "Table", {
      partitionKey: { name: "pk", type: AttributeType.STRING },
      sortKey: { name: "sk", type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: "expiresAt",
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.table.addGlobalSecondaryIndex({
      indexName: "gsi1",
      partitionKey: { name: "gsi1pk", type: AttributeType.STRING },
      sortKey: { name: "gsi1sk", type: AttributeType.STRING },
    });

    this.key = new Key(this, "Key", {
      description: "Wraps the data key of each source server",
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });

    this.commandKey = new Key(this, "CommandKey", {
      description: "Signs the control plane's messages to agents",
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      removalPolicy: RemovalPolicy.RETAIN,
    });

    this.alarms = new Topic(this, "Alarms", {
      topicName: "causeway-alarms",
      displayName: "Causeway alarms",
      // Subscribers verify messages by SHA-256.
      signatureVersion: "2",
      enforceSSL: true,
    });
    this.alarms.applyRemovalPolicy(RemovalPolicy.RETAIN);
    new CfnOutput(this, "AlarmTopicArn", { value: this.alarms.topicArn });

    this.bucket = new Bucket(this, "Bucket", {
      versioned: true,
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      lifecycleRules: [
        {
          id: "forget-what-was-replaced",
          noncurrentVersionExpiration: Duration.days(30),
          abortIncompleteMultipartUploadAfter: Duration.days(7),
        },
        { id: "forget-emptied-names", expiredObjectDeleteMarker: true },
        { id: "forget-old-collections", prefix: COLLECTIONS_PREFIX, expiration: Duration.days(7) },
        { id: "forget-old-evidence", prefix: "evidence/", expiration: Duration.days(365) },
      ],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.#keepHistory();
  }

  /**
   * No principal can change a stored object. Each write must say `If-None-Match: *`, which S3 refuses if the
   * key exists; uploads in parts and copies, which Causeway does not use, are refused with the rest
   * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html). Over a delete
   * marker such a write would succeed, so deletions are refused too, except those of the collector. It
   * deletes only packs, whose names are hashes, and points that stay marked as pruned. Lifecycle rules are
   * not subject to the policy.
   */
  #keepHistory(): void {
    const objects = {
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      resources: [this.bucket.arnForObjects("*")],
    };
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: "NothingIsOverwritten",
        ...objects,
        actions: ["s3:PutObject"],
        conditions: { Null: { "s3:if-none-match": "true" } },
      }),
    );
    const collector = this.formatArn({
      service: "iam",
      region: "",
      resource: "role",
      resourceName: COLLECTOR_ROLE,
    });
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: "OnlyTheCollectorDeletes",
        ...objects,
        actions: ["s3:DeleteObject"],
        conditions: { ArnNotEquals: { "aws:PrincipalArn": collector } },
      }),
    );
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: "OnlyPointsAndPacksAreDeleted",
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ["s3:DeleteObject"],
        notResources: COLLECTED.map((keys) => this.bucket.arnForObjects(keys)),
      }),
    );
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: "NoVersionIsDeleted",
        ...objects,
        actions: ["s3:DeleteObjectVersion"],
      }),
    );
  }
}
