/** What the functions need of the world around the table. Adapters for AWS are in `aws/`. */
import type { Failure } from "#shared/errors.ts";
import type { ConversionType } from "#shared/protocol/conversion-types.ts";
import type { SignedMessage } from "#shared/protocol/signed-message.ts";

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

/** Gives that many random bytes, fit for secrets. */
export type Random = (length: number) => Uint8Array;

export interface AgentMessenger {
  /**
   * Resolves once the broker has the message; the agent gets it if it is connected, or asks when it connects.
   */
  send(agentId: string, message: SignedMessage): Promise<void>;
}

/**
 * The key pair that messages to agents are signed with. Every agent knows its public part from its enrolment,
 * and obeys nothing else.
 */
export interface CommandKey {
  /** ECDSA with P-256 and SHA-256, DER; of at most 4096 bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /** SPKI. */
  publicKeyPem(): Promise<string>;
}

/**
 * Workflow steps that wait for an agent. Each says whether somebody still waited: a token dies with its step.
 */
export interface WaitingSteps {
  succeed(taskToken: string, output: unknown): Promise<boolean>;
  fail(taskToken: string, failure: Failure): Promise<boolean>;
  keepAlive(taskToken: string): Promise<boolean>;
}

export interface Workflow {
  /**
   * Starts it under a name that is used once; says whether that is new. Repeating it while it runs is
   * harmless.
   */
  start(name: string, input: unknown): Promise<"started" | "exists">;
  isRunning(name: string): Promise<boolean>;
  /** Ends it wherever it is, without any of its own cleaning up. One that has ended stays as it is. */
  stop(name: string): Promise<void>;
}

/** One for each type of conversion. */
export type Workflows = Readonly<Record<ConversionType, Workflow>>;

export interface DeviceCertificate {
  id: string;
  arn: string;
  /** The certificate, followed by those of its issuers where they are not commonly known. */
  pem: string;
}

/** The broker's registry of agents and their certificates. Everything but `certify` may be repeated. */
export interface DeviceRegistry {
  addThing(agentId: string): Promise<void>;
  /**
   * A new certificate for the request's key; good for nothing until activated. Throws `InvalidInputError` for
   * a malformed request.
   */
  certify(csr: string): Promise<DeviceCertificate>;
  /** Lets the certificate speak for the agent, with the rights of the policy. */
  bind(agentId: string, certificateArn: string, policyName: string): Promise<void>;
  activate(certificateId: string): Promise<void>;
  /** Cuts the certificate's connections and refuses new ones. */
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
  /** Rights to put and read the files of one boot image, for a quarter of an hour. */
  grant(imageId: string, sessionName: string): Promise<GrantedCredentials>;
}

export interface ObjectFacts {
  sizeBytes: number;
  /** In hexadecimal; absent where the object was put without it. */
  sha256?: string | undefined;
}

/** What lies in the bucket. */
export interface Bucket {
  /** Nothing if there is no such object. */
  describe(key: string): Promise<ObjectFacts | undefined>;
}

export interface SourceDataBroker {
  /** Rights to read one source's repository, for an hour. */
  grant(sourceId: string, sessionName: string): Promise<GrantedCredentials>;
}
