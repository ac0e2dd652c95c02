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

/** Milliseconds since 1970; timers that fire by the same clock, so that tests can move time. */
export interface Clock {
  now(): number;
  /** Calls `run` once, `delayMs` from now. */
  schedule(delayMs: number, run: () => void): Timer;
}
export interface Timer {
  cancel(): void;
}

/**
 * An IAM or IoT policy document as it stands in a template, intrinsics resolved. Never changed once made:
 * evaluators remember it.
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
  /** Narrows the identity policies: both must allow. */
  sessionPolicy?: PolicyDocument;
  /** Policy variables and condition keys of this session, such as `credentials-iot:ThingName`. */
  context: Record<string, string>;
}

export interface ServiceCaller {
  kind: "service";
  /** Such as `iot.amazonaws.com`. */
  service: string;
  /** The resource it acts for: becomes `aws:SourceArn`. */
  sourceArn: string;
}

export interface AccessRequest {
  /** Such as `s3:GetObject`. */
  action: string;
  /** The ARN acted on, or `*` for actions without one. */
  resource: string;
  context?: Record<string, string | string[]>;
  /** The policy on the resource itself, where it has one. */
  resourcePolicy?: PolicyDocument;
}

export interface Authorizer {
  /**
   * Returns when the policies allow it; throws an `AwsError` with code `AccessDeniedException` (the wire
   * adapter may rename it) otherwise.
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
   * A session of the role for an AWS service, as the role's trust policy allows; throws `AwsError` otherwise.
   */
  assumeForService(roleArn: string, service: string, options: AssumeOptions): SessionCaller;
  /**
   * Temporary keys with which the gateway recognises this session. They survive a restart of the embedded
   * cloud until they expire.
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
   * The raw body. The gateway does not read it; use `readBody` for small ones: it checks the signed hash too.
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
   * Converts an error to this service's wire form (JSON or XML). The gateway uses it for every error, its own
   * included.
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
  /**
   * The name to use where the properties give none: lower case, stable over restarts, unique in the cloud.
   */
  generatedName: string;
}

export interface ProvisionedResource {
  /** What `Ref` gives. */
  ref: string;
  /** What `Fn::GetAtt` gives. */
  attributes: Record<string, string>;
}

/**
 * Creates or updates resources of the given types. `provision` runs at every start of the embedded cloud, for
 * every resource, in dependency order, so it must be idempotent and keep the data of what exists. A property
 * that it does not know is an error.
 */
export interface ResourceProvider {
  readonly types: readonly string[];
  provision(resource: Resource): Promise<ProvisionedResource>;
}

export interface LambdaInvoker {
  /**
   * Runs a function once and returns its answer; throws `AwsError` if it does not exist or the caller may not
   * invoke it.
   */
  invoke(request: LambdaInvocation): Promise<LambdaResult>;
  /**
   * Queues an asynchronous invocation: at most two retries, then it is logged as lost, as Lambda does without
   * a dead-letter queue.
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
  /** Set when the handler threw: `payload` is then `{ errorType, errorMessage, trace }`. */
  functionError?: "Handled" | "Unhandled";
}
