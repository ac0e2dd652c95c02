/**
 * The contracts between the parts of the embedded cloud. Each emulated AWS service is an engine (pure,
 * injected clock) plus a wire adapter that implements `Service`; each resource type of a template has one
 * `ResourceProvider`.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

/** Account and region of everything in an embedded cloud; ARNs are built from them. */
export const ACCOUNT_ID = "000000000000";
export const REGION = "local-1";

/** The time in milliseconds since 1970, and timers by the same clock, so that tests can advance both. */
export interface Clock {
  now(): number;
  /** Calls `run` once, `delayMs` from now. */
  schedule(delayMs: number, run: () => void): Timer;
}
export interface Timer {
  cancel(): void;
}

/**
 * An IAM or IoT policy document from a template, with its intrinsics resolved. Do not change it once it is
 * made, because evaluators cache results for it.
 */
export interface PolicyDocument {
  Version?: string;
  Statement: PolicyStatement | PolicyStatement[];
}
export interface PolicyStatement {
  Sid?: string;
  Effect: "Allow" | "Deny";
  Principal?: "*" | Record<string, string | string[]>;
  Action?: string | string[];
  NotAction?: string | string[];
  Resource?: string | string[];
  NotResource?: string | string[];
  Condition?: Record<string, Record<string, string | string[] | boolean | number>>;
}

/** Who makes a call: a role's session, or an AWS service acting for a resource. */
export type Caller = SessionCaller | ServiceCaller;

export interface SessionCaller {
  kind: "session";
  /** `arn:aws:sts::<account>:assumed-role/<role>/<session>` */
  arn: string;
  roleArn: string;
  sessionName: string;
  /** Identity policies of the role. */
  policies: PolicyDocument[];
  /** Restricts the identity policies: both must allow. */
  sessionPolicy?: PolicyDocument;
  /** Policy variables and condition keys of this session, such as `credentials-iot:ThingName`. */
  context: Record<string, string>;
}

export interface ServiceCaller {
  kind: "service";
  /** Such as `iot.amazonaws.com`. */
  service: string;
  /** The resource for which it acts, which becomes `aws:SourceArn`. */
  sourceArn: string;
}

export interface AccessRequest {
  /** Such as `s3:GetObject`. */
  action: string;
  /** The ARN acted on, or `*` for actions without one. */
  resource: string;
  context?: Record<string, string | string[]>;
  /** The policy on the resource itself, if it has one. */
  resourcePolicy?: PolicyDocument;
}

export interface Authorizer {
  /**
   * Returns if the policies allow the request. Otherwise throws an `AwsError` with code
   * `AccessDeniedException`, which the wire adapter can rename.
   */
  authorize(caller: Caller, request: AccessRequest): void;
}

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** The roles that the templates declare. */
export interface Roles {
  /**
   * Returns a session of the role for an AWS service. Throws an `AwsError` unless the role's trust policy
   * allows it.
   */
  assumeForService(roleArn: string, service: string, options: AssumeOptions): SessionCaller;
  /**
   * Temporary keys by which the gateway recognises this session. They survive a restart of the embedded cloud
   * until they expire.
   */
  issueCredentials(session: SessionCaller, durationSeconds: number): Credentials;
}
export interface AssumeOptions {
  sessionName: string;
  context?: Record<string, string>;
}

/**
 * One authenticated call of an AWS API (SigV4 has been verified; authorization is the service's own duty).
 */
export interface ServiceRequest {
  caller: Caller;
  method: string;
  /** As sent: percent-encoding untouched, no query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /**
   * The raw body, which the gateway does not read. Use `readBody` for small bodies, because it also checks
   * the signed hash.
   */
  body: Readable;
  /** Reads the whole body, at most `limitBytes`, and checks it against the signed `x-amz-content-sha256`. */
  readBody(limitBytes?: number): Promise<Buffer>;
  /** What a streaming service (S3) needs to check signed chunks itself. */
  signature: { seed: string; key: Buffer; scope: string; date: string; payloadHash: string };
}

export interface ServiceResponse {
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer | Readable;
}

export interface Service {
  /**
   * The SigV4 signing name, by which the gateway chooses the service: `s3`, `dynamodb`, `states`, `kms`, …
   */
  readonly name: string;
  handle(request: ServiceRequest): Promise<ServiceResponse>;
  /**
   * Converts an error to this service's wire form (JSON or XML). The gateway uses it for every error,
   * including its own.
   */
  renderError(error: unknown, request: { method: string; path: string }): ServiceResponse;
  close(): Promise<void>;
}

/** A resource of a template, with every intrinsic resolved. */
export interface Resource {
  /** Such as `AWS::S3::Bucket`. */
  type: string;
  stack: string;
  logicalId: string;
  properties: Record<string, unknown>;
  /** The name to use if the properties have none: lower case, stable over restarts, unique in the cloud. */
  generatedName: string;
}

export interface ProvisionedResource {
  /** The value of `Ref`. */
  ref: string;
  /** The values of `Fn::GetAtt`. */
  attributes: Record<string, string>;
}

/**
 * Creates or updates resources of the given types. `provision` runs at every start of the embedded cloud, for
 * every resource, in dependency order, so it must be idempotent and keep existing data. An unknown property
 * is an error.
 */
export interface ResourceProvider {
  readonly types: readonly string[];
  provision(resource: Resource): Promise<ProvisionedResource>;
}

export interface LambdaInvoker {
  /**
   * Runs a function once and returns its answer. Fails with an `AwsError` if it does not exist or the caller
   * may not invoke it.
   */
  invoke(request: LambdaInvocation): Promise<LambdaResult>;
  /**
   * Queues an asynchronous invocation. It is retried at most twice and then logged as lost, as in Lambda
   * without a dead-letter queue.
   */
  enqueue(request: LambdaInvocation): void;
}
export interface LambdaInvocation {
  functionArn: string;
  payload: unknown;
  caller: Caller;
}
export interface LambdaResult {
  payload: unknown;
  /** Set if the handler threw. `payload` is then `{ errorType, errorMessage, trace }`. */
  functionError?: "Handled" | "Unhandled";
}
