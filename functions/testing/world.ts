/** A control plane for tests: the real stores on a real table, and fakes of AWS that are as strict as AWS. */
import type { KeyObject } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { aSource, aTarget } from "#shared/domain/testing/records.ts";
import { type Failure, InvalidInputError } from "#shared/errors.ts";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import { openMessage, timeProblem } from "#shared/protocol/message-signature.ts";
import type { SignedMessage } from "#shared/protocol/signed-message.ts";
import { TestCommandKey } from "#shared/protocol/testing/command-key.ts";
import type { ApiResult } from "../middleware/http.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type {
  AgentMessenger,
  BootImageBroker,
  Bucket,
  Clock,
  CommandKey,
  DeviceCertificate,
  DeviceRegistry,
  ObjectFacts,
  SourceDataBroker,
  WaitingSteps,
  Workflow,
} from "../ports.ts";
import { type Store, storeOn } from "../store/store.ts";
import type { Table } from "../store/table.ts";
import { FakeAlarmTopic } from "./fake-alarm-topic.ts";
import { FakeTimer } from "./fake-timer.ts";
import { Outage } from "./outage.ts";
import { createTestTable } from "./test-table.ts";

/** A key pair that signs as KMS does. */
export class FakeCommandKey implements CommandKey {
  readonly #key = new TestCommandKey();
  readonly #outage: Outage;

  constructor(outage: Outage) {
    this.#outage = outage;
  }

  get publicKey(): KeyObject {
    return this.#key.publicKey;
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    this.#outage.check("sign");
    if (bytes.length > 4096) throw new Error("KMS signs 4096 bytes at most");
    return this.#key.sign(bytes);
  }

  async publicKeyPem(): Promise<string> {
    return this.#key.publicKeyPem;
  }
}

/** Accepts only messages that the agent would obey at this time. */
export class FakeAgents implements AgentMessenger {
  readonly sent: { agentId: string; message: ToAgent }[] = [];
  readonly #outage: Outage;
  readonly #key: FakeCommandKey;
  readonly #clock: Clock;

  constructor(outage: Outage, key: FakeCommandKey, clock: Clock) {
    this.#outage = outage;
    this.#key = key;
    this.#clock = clock;
  }

  async send(agentId: string, signed: SignedMessage): Promise<void> {
    this.#outage.check("send");
    const opened = openMessage(signed, { agentId, key: this.#key.publicKey });
    const problem = "problem" in opened ? opened.problem : timeProblem(opened, this.#clock.now());
    if ("problem" in opened || problem) throw new Error(`no agent would obey this: ${problem}`);
    this.sent.push({ agentId, message: opened.message });
  }

  commandsFor(agentId: string): Command[] {
    return this.sent
      .filter((one) => one.agentId === agentId)
      .flatMap(({ message }) => (message.type === "command" ? [message] : []));
  }

  /** As `type commandId`. */
  messagesFor(agentId: string): string[] {
    return this.sent
      .filter((one) => one.agentId === agentId)
      .map(({ message }) => `${message.type} ${message.commandId}`);
  }
}

/** A token can be answered once, and only while a step waits with it. */
export class FakeSteps implements WaitingSteps {
  readonly waiting = new Set<string>();
  readonly heartbeats: string[] = [];
  readonly outcomes = new Map<string, { output: unknown } | { failure: Failure }>();
  readonly #outage: Outage;

  constructor(outage: Outage) {
    this.#outage = outage;
  }

  async succeed(taskToken: string, output: unknown): Promise<boolean> {
    this.#outage.check("succeed");
    if (!this.waiting.delete(taskToken)) return false;
    this.outcomes.set(taskToken, { output });
    return true;
  }

  async fail(taskToken: string, failure: Failure): Promise<boolean> {
    this.#outage.check("fail");
    if (!this.waiting.delete(taskToken)) return false;
    this.outcomes.set(taskToken, { failure });
    return true;
  }

  async keepAlive(taskToken: string): Promise<boolean> {
    this.heartbeats.push(taskToken);
    return this.waiting.has(taskToken);
  }
}

export class FakeWorkflow implements Workflow {
  readonly executions = new Map<string, { input: unknown; running: boolean }>();
  readonly #outage: Outage;
  readonly #startName: string;

  /** `startName`: what an outage calls `start`. */
  constructor(outage: Outage, startName = "start") {
    this.#outage = outage;
    this.#startName = startName;
  }

  async start(name: string, input: unknown): Promise<"started" | "exists"> {
    this.#outage.check(this.#startName);
    const execution = this.executions.get(name);
    // While an execution runs, Step Functions answers a start with the same name and input as the first time.
    if (execution)
      return execution.running && isDeepStrictEqual(execution.input, input) ? "started" : "exists";
    this.executions.set(name, { input: structuredClone(input), running: true });
    return "started";
  }

  async isRunning(name: string): Promise<boolean> {
    return this.executions.get(name)?.running ?? false;
  }

  async stop(name: string): Promise<void> {
    this.#outage.check("stop");
    const execution = this.executions.get(name);
    if (execution) execution.running = false;
  }
}

export class FakeRegistry implements DeviceRegistry {
  readonly things = new Set<string>();
  readonly certificates = new Map<string, { status: string; boundTo: string[] }>();
  readonly #outage: Outage;

  constructor(outage: Outage) {
    this.#outage = outage;
  }

  async addThing(agentId: string): Promise<void> {
    this.#outage.check("addThing");
    this.things.add(agentId);
  }

  async certify(csr: string): Promise<DeviceCertificate> {
    this.#outage.check("certify");
    if (!csr.includes("CERTIFICATE REQUEST"))
      throw new InvalidInputError([{ path: "csr", message: "is not a CSR" }]);
    const id = String(this.certificates.size).padStart(64, "0");
    this.certificates.set(id, { status: "INACTIVE", boundTo: [] });
    const block = (name: string) => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;
    return { id, arn: `arn:aws:iot:local-1:000000000000:cert/${id}`, pem: block(id) + block("authority") };
  }

  async bind(agentId: string, certificateArn: string, policyName: string): Promise<void> {
    this.#outage.check("bind");
    this.#get(certificateArn.split("/")[1]).boundTo.push(`${agentId} ${policyName}`);
  }

  async activate(certificateId: string): Promise<void> {
    this.#outage.check("activate");
    this.#get(certificateId).status = "ACTIVE";
  }

  async revoke(certificateId: string): Promise<void> {
    this.#outage.check("revoke");
    const certificate = this.certificates.get(certificateId) ?? { status: "ACTIVE", boundTo: [] };
    this.certificates.set(certificateId, { ...certificate, status: "REVOKED" });
  }

  async endpoints(): Promise<{ mqtt: string; credentials: string }> {
    return { mqtt: "mqtt.local", credentials: "credentials.local" };
  }

  #get(id = ""): { status: string; boundTo: string[] } {
    const certificate = this.certificates.get(id);
    if (!certificate) throw new Error(`no certificate ${id}`);
    return certificate;
  }
}

export class FakeBroker implements SourceDataBroker, BootImageBroker {
  readonly grants: string[] = [];

  async grant(what: string, sessionName: string) {
    this.grants.push(`${what} to ${sessionName}`);
    return {
      accessKeyId: "key",
      secretAccessKey: "secret",
      sessionToken: "session",
      expiresAt: "2030-01-01T01:00:00.000Z",
    };
  }
}

/** Uploaded files of boot images, by key. */
export class FakeBucket implements Bucket {
  readonly objects = new Map<string, ObjectFacts>();

  async describe(key: string): Promise<ObjectFacts | undefined> {
    return this.objects.get(key);
  }
}

export class World {
  readonly outage = new Outage();
  readonly commandKey = new FakeCommandKey(this.outage);
  readonly agents = new FakeAgents(this.outage, this.commandKey, { now: () => this.clock.now() });
  readonly steps = new FakeSteps(this.outage);
  readonly workflow = new FakeWorkflow(this.outage);
  readonly timer = new FakeTimer(this.outage);
  readonly topic = new FakeAlarmTopic(this.outage);
  readonly webhooks = new FakeWorkflow(this.outage, "startWebhook");
  readonly registry = new FakeRegistry(this.outage);
  readonly broker = new FakeBroker();
  readonly uploads = new FakeBroker();
  readonly objects = new FakeBucket();
  readonly logged: { level: string; message: string; fields: Record<string, unknown> | undefined }[] = [];
  readonly store: Store;
  readonly clock: Clock;
  nowMs = Date.UTC(2030, 0, 1);
  #drawn = 0;

  static async start(): Promise<World> {
    return new World(await createTestTable());
  }

  /** `clock`: by default `nowMs`, which tests set. */
  constructor(table: Table, clock?: Clock) {
    this.clock = clock ?? { now: () => this.nowMs };
    this.store = storeOn(table, this.random);
  }

  /** Never the same twice. */
  readonly random = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(length - 4, ++this.#drawn);
    return bytes;
  };
  readonly log = {
    info: this.#logAs("info"),
    warn: this.#logAs("warn"),
    error: this.#logAs("error"),
  };

  get runtime(): Runtime {
    const { clock, random, log } = this;
    const variables = { TABLE_NAME: "causeway", ...environment };
    return { clock, random, log, region: "local-1", awsEndpoint: "http://aws.local", variables };
  }

  /** A source and a target, connected. */
  async enrolled(
    change: { source?: Partial<AgentRecord>; target?: Partial<AgentRecord> } = {},
  ): Promise<void> {
    await this.store.agents.add(aSource(change.source));
    await this.store.agents.add(aTarget(change.target));
  }

  /** The audit, oldest first, as `actor action subject outcome`. */
  async audited(): Promise<string[]> {
    const { items } = await this.store.audit.page({ limit: 200 });
    return items.map((entry) => `${entry.actor} ${entry.action} ${entry.subject} ${entry.outcome}`).reverse();
  }

  #logAs(level: string) {
    return (message: string, fields?: Record<string, unknown>) => {
      this.logged.push({ level, message, fields });
    };
  }
}

const environment = {
  BUCKET_NAME: "bucket",
  COMMAND_KEY_ARN: "arn:aws:kms:local-1:000000000000:key/2",
  KMS_KEY_ARN: "arn:aws:kms:local-1:000000000000:key/1",
  SOURCE_POLICY: "source-policy",
  TARGET_POLICY: "target-policy",
  SOURCE_ROLE_ALIAS: "source-alias",
  TARGET_ROLE_ALIAS: "target-alias",
  CONVERSION_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:conversion",
  COLLECT_GARBAGE_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:collect-garbage",
  CHECK_REPOSITORIES_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:check-repositories",
  PROTECTION_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:protection-run",
  DRILL_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:drill",
  RECOVERY_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:recovery",
  CUTOVER_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:synchronized-cutover",
  SCHEDULE_GROUP: "plans",
  RUN_PLAN_FUNCTION_ARN: "arn:aws:lambda:local-1:000000000000:function:run-plan",
  DRILL_PLAN_FUNCTION_ARN: "arn:aws:lambda:local-1:000000000000:function:drill-plan",
  WAKE_CUTOVER_FUNCTION_ARN: "arn:aws:lambda:local-1:000000000000:function:wake-cutover",
  WATCH_PLAN_FUNCTION_ARN: "arn:aws:lambda:local-1:000000000000:function:watch-plan",
  SCHEDULER_ROLE_ARN: "arn:aws:iam::000000000000:role/scheduler",
  ALARM_TOPIC_ARN: "arn:aws:sns:local-1:000000000000:causeway-alarms",
  WEBHOOK_WORKFLOW_ARN: "arn:aws:states:local-1:000000000000:stateMachine:send-webhook",
  BOOT_IMAGE_UPLOAD_ROLE_ARN: "arn:aws:iam::000000000000:role/boot-image-upload",
  DATA_ACCESS_ROLE_ARN: "arn:aws:iam::000000000000:role/data-access",
};

type Handler = (event: unknown, context: never) => Promise<ApiResult>;

export interface TestRequest {
  body?: unknown;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  /** `user` by default. */
  as?: { user: string } | { certificate: string } | "anyone";
  /** The caller's address. */
  from?: string;
}

/** Calls an API function as API Gateway does. `routeKey` has the path with its parameters filled in. */
export async function request(
  handler: Handler,
  routeKey: string,
  path: Record<string, string> = {},
  { body, headers = {}, query = {}, as = { user: "ada" }, from = "192.0.2.1" }: TestRequest = {},
): Promise<{ status: number; headers: Record<string, string>; body: Record<string, unknown> }> {
  const event = {
    version: "2.0",
    routeKey,
    headers: { "x-forwarded-proto": "http", ...headers },
    queryStringParameters: query,
    pathParameters: path,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    isBase64Encoded: false,
    requestContext: {
      requestId: "r-1",
      domainName: "127.0.0.1:8080",
      http: { sourceIp: from },
      authorizer: authorizerOf(as),
    },
  };
  const context = { getRemainingTimeInMillis: () => 10_000 } as never;
  const result = await handler(event, context);
  return { status: result.statusCode, headers: result.headers, body: JSON.parse(result.body) };
}

function authorizerOf(as: NonNullable<TestRequest["as"]>) {
  if (as === "anyone") return undefined;
  if ("user" in as) return { jwt: { claims: { sub: "1", username: as.user } } };
  return { iam: { userArn: `arn:aws:sts::000000000000:assumed-role/target-data/${as.certificate}` } };
}
