/** The services that the functions need besides the table. Adapters for AWS are in `aws/`. */
import type { Failure } from "#shared/errors.ts";
import type { Notice } from "#shared/protocol/alarms.ts";
import type { SignedMessage } from "#shared/protocol/signed-message.ts";

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

/** Returns `length` random bytes that are good enough for secrets. */
export type Random = (length: number) => Uint8Array;

export interface AgentMessenger {
  /**
   * Resolves once the broker has the message. The agent gets it if it is connected; otherwise the agent asks
   * for it when it connects.
   */
  send(agentId: string, message: SignedMessage): Promise<void>;
}

/**
 * The key pair that signs messages to agents. Every agent gets the public key at its enrolment and obeys
 * only messages that this key signed.
 */
export interface CommandKey {
  /** ECDSA with P-256 and SHA-256, DER; of at most 4096 bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /** SPKI. */
  publicKeyPem(): Promise<string>;
}

/**
 * Workflow steps that wait for an agent. Each method resolves with whether the step was still waiting: a
 * task token becomes invalid when its step ends.
 */
export interface WaitingSteps {
  succeed(taskToken: string, output: unknown): Promise<boolean>;
  fail(taskToken: string, failure: Failure): Promise<boolean>;
  keepAlive(taskToken: string): Promise<boolean>;
}

/** What runs conversions or protection runs: one execution each, by its id. */
export interface Workflow {
  /**
   * Starts an execution under a name that is used once, and resolves with whether the name was new. Repeating
   * it while the execution runs is harmless.
   */
  start(name: string, input: unknown): Promise<"started" | "exists">;
  isRunning(name: string): Promise<boolean>;
  /** Stops an execution without its clean-up steps. One that has ended stays as it is. */
  stop(name: string): Promise<void>;
}

/**
 * Schedules of plans and cutovers: a plan's timer calls `schedule/run-plan`, its watch calls
 * `schedule/watch-plan`, and that of its drills `schedule/drill-plan`.
 */
export interface PlanTimer {
  /**
   * Replaces the plan's timer: at this time, or as soon as possible if it is past, the function is called
   * with the plan's id and the time, in milliseconds since 1970. A call that is `usefulSeconds` late is
   * dropped.
   */
  arm(planId: string, dueAt: number, usefulSeconds: number): Promise<void>;
  disarm(planId: string): Promise<void>;
  /**
   * Replaces the plan's watch: from this time, in milliseconds since 1970, or from now if it is past, the
   * function is called with the plan's id, and again every hour until the watch is moved or removed.
   */
  watch(planId: string, from: number): Promise<void>;
  unwatch(planId: string): Promise<void>;
  /**
   * Replaces the timer of the plan's next drill: at this time, or as soon as possible if it is past, the
   * function is called with the plan's id and the time, in milliseconds since 1970.
   */
  armDrill(planId: string, dueAt: number): Promise<void>;
  disarmDrill(planId: string): Promise<void>;
  /**
   * Replaces the timer of a cutover: at this time, or as soon as possible if it is past,
   * `schedule/wake-cutover` is called with the cutover's id. Times are milliseconds since 1970.
   */
  armCutover(cutoverId: string, at: number): Promise<void>;
  disarmCutover(cutoverId: string): Promise<void>;
}

export interface DeviceCertificate {
  id: string;
  arn: string;
  /** The certificate, followed by its issuers' if agents do not know them. */
  pem: string;
}

/** The broker's registry of agents and their certificates. Every method except `certify` may be repeated. */
export interface DeviceRegistry {
  addThing(agentId: string): Promise<void>;
  /**
   * A new certificate for the request's key, inactive until `activate`. Throws `InvalidInputError` for a
   * malformed request.
   */
  certify(csr: string): Promise<DeviceCertificate>;
  /** Lets the certificate act for the agent, with the rights of the policy. */
  bind(agentId: string, certificateArn: string, policyName: string): Promise<void>;
  activate(certificateId: string): Promise<void>;
  /** Disconnects clients that use this certificate and refuses new connections with it. */
  revoke(certificateId: string): Promise<void>;
  endpoints(): Promise<{ mqtt: string; credentials: string }>;
}

export interface GrantedCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  /** ISO 8601. */
  expiresAt: string;
}

export interface BootImageBroker {
  /** Credentials to write and read the files of one boot image, for 15 minutes. */
  grant(imageId: string, sessionName: string): Promise<GrantedCredentials>;
}

export interface ObjectFacts {
  sizeBytes: number;
  /** In hexadecimal; absent if the object was uploaded without it. */
  sha256?: string | undefined;
}

/** The bucket's objects. */
export interface Bucket {
  /** Resolves with `undefined` if there is no such object. */
  describe(key: string): Promise<ObjectFacts | undefined>;
}

export interface StoredObject {
  key: string;
  sizeBytes: number;
  /** When it was written, in milliseconds since 1970 by the bucket's clock. */
  writtenAt: number;
}

/** The objects of repositories, for collect-garbage. */
export interface RepositoryObjects {
  /** Milliseconds since 1970 by the bucket's clock. */
  now(): Promise<number>;
  /** All objects whose keys begin with the prefix, by key. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /**
   * The object, or the part of a range that it has; `undefined` if there is no such object, or if it ends
   * before the range.
   */
  get(key: string, range?: { offset: number; bytes: number }): Promise<Buffer | undefined>;
  /** Writes the object unless its key exists. */
  putNew(key: string, bytes: Uint8Array): Promise<void>;
  /** Deletes these objects. A key that has none is no error. */
  delete(keys: readonly string[]): Promise<void>;
}

/** What wraps the sources' data keys. */
export interface DataKeys {
  unwrap(wrapped: Uint8Array, context: { sourceId: string }, keyId: string): Promise<Uint8Array>;
}

/** The marks in repositories by which collect-garbage knows the points that were pruned. */
export interface PruneMarks {
  /** Repeating it changes nothing: the first mark stays. */
  mark(sourceId: string, pointId: string): Promise<void>;
}

export interface SourceDataBroker {
  /** Credentials to read one source's repository, for an hour. */
  grant(sourceId: string, sessionName: string): Promise<GrantedCredentials>;
}

/** Where people and other systems subscribe to notices of alarms. */
export interface AlarmTopic {
  /** Repeating it sends the notice again. */
  publish(notice: Notice): Promise<void>;
}

/** Encrypts the webhook's secret, so that the table alone does not give it away. */
export interface WebhookSecrets {
  /** In base64. */
  seal(secret: string): Promise<string>;
  open(sealed: string): Promise<string>;
}

export interface WebhookRequest {
  url: URL;
  headers: Record<string, string>;
  body: string;
  /** Whether the host may have a private address. */
  allowPrivate: boolean;
}

export interface WebhookPoster {
  /** Resolves once the receiver has answered with 2xx. Throws `WebhookFailedError`. */
  post(request: WebhookRequest): Promise<void>;
}
