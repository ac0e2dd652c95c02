/** For tests: an IoT core in a temporary folder, reached by the real SDK, MQTT and TLS clients. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IoTClient } from "@aws-sdk/client-iot";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { AwsError } from "../../core/aws-error.ts";
import { ManualClock } from "../../core/clock.ts";
import type { LambdaInvocation, SessionCaller } from "../../core/service.ts";
import { PolicyEvaluator } from "../../iam/policy-evaluator.ts";
import { IotCore, type IotCoreOptions } from "../iot-core.ts";
import { listen } from "../mutual-tls.ts";
import type { LogEntry, RefusedEvent } from "../ports.ts";
import { TestRoles } from "./test-roles.ts";

export const FUNCTION_ARN = "arn:aws:lambda:local-1:000000000000:function:ingest";
export const ERROR_FUNCTION_ARN = "arn:aws:lambda:local-1:000000000000:function:on-error";

const ARN = "arn:aws:iot:local-1:000000000000";
const THING = `$\{iot:Connection.Thing.ThingName}`;

/** A device may do all this, but only under its own name. */
export const DEVICE_POLICY = {
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Action: "iot:Connect",
      Resource: `${ARN}:client/${THING}`,
      Condition: { Bool: { "iot:Connection.Thing.IsAttached": "true" } },
    },
    {
      Effect: "Allow",
      Action: ["iot:Publish", "iot:Receive"],
      Resource: [`${ARN}:topic/agents/${THING}/*`, `${ARN}:topic/$aws/rules/ingest/agents/${THING}/*`],
    },
    {
      Effect: "Allow",
      Action: "iot:Subscribe",
      Resource: `${ARN}:topicfilter/agents/${THING}/*`,
    },
    {
      Effect: "Allow",
      Action: "iot:AssumeRoleWithCertificate",
      Resource: "arn:aws:iot:local-1:000000000000:rolealias/agent-data",
    },
  ],
};

export class TestCloud {
  readonly directory: string;
  readonly clock: ManualClock;
  readonly roles = new TestRoles();
  readonly authorizer = new PolicyEvaluator();
  readonly refused: RefusedEvent[] = [];
  readonly log: LogEntry[] = [];
  readonly invocations: LambdaInvocation[] = [];
  /** The SDK clients' permissions. Tests restrict them. */
  caller: SessionCaller = administrator();
  /** Functions that refuse to be invoked. */
  readonly brokenFunctions = new Set<string>();
  #core: IotCore | undefined;
  #gateway: Server | undefined;
  #waiting: (() => void)[] = [];
  readonly #options: Partial<IotCoreOptions>;

  private constructor(directory: string, clock: ManualClock, options: Partial<IotCoreOptions>) {
    this.directory = directory;
    this.clock = clock;
    this.#options = options;
  }

  static async start(options: Partial<IotCoreOptions> = {}): Promise<TestCloud> {
    const cloud = new TestCloud(await mkdtemp(join(tmpdir(), "iot-")), new ManualClock(), options);
    await cloud.startCore();
    return cloud;
  }

  get core(): IotCore {
    if (!this.#core) throw new Error("the cloud is stopped");
    return this.#core;
  }

  async startCore(): Promise<void> {
    this.#core = await IotCore.open({
      directory: this.directory,
      clock: this.clock,
      authorizer: this.authorizer,
      roles: this.roles,
      lambda: {
        invoke: () => Promise.reject(new Error("rules invoke asynchronously")),
        enqueue: (invocation) => {
          if (this.brokenFunctions.has(invocation.functionArn)) {
            throw new AwsError("ResourceNotFoundException", `there is no ${invocation.functionArn}`, 404);
          }
          this.invocations.push(invocation);
          this.#notify();
        },
      },
      log: (entry) => this.log.push(entry),
      onRefused: (event) => {
        this.refused.push(event);
        this.#notify();
      },
      ...this.#options,
    });
    await this.#provision();
    await this.#core.start();
    this.#gateway = createServer((request, response) => void this.#handle(request, response));
    await listen(this.#gateway, 0, "127.0.0.1");
  }

  async stopCore(): Promise<void> {
    const gateway = this.#gateway;
    gateway?.closeAllConnections();
    await new Promise((done) => gateway?.close(done));
    await this.core.close();
    this.#core = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#core) await this.stopCore();
    await rm(this.directory, { recursive: true });
  }

  iot(): IoTClient {
    return new IoTClient(this.#clientOptions());
  }

  data(): IoTDataPlaneClient {
    return new IoTDataPlaneClient(this.#clientOptions());
  }

  addPolicy(name: string, document: unknown): Promise<unknown> {
    return this.#put("AWS::IoT::Policy", { PolicyName: name, PolicyDocument: document });
  }

  addRule(name: string, sql: string, more: Record<string, unknown> = {}): Promise<unknown> {
    return this.#put("AWS::IoT::TopicRule", {
      RuleName: name,
      TopicRulePayload: {
        Sql: sql,
        AwsIotSqlVersion: "2016-03-23",
        Actions: [{ Lambda: { FunctionArn: FUNCTION_ARN } }],
        ErrorAction: { Lambda: { FunctionArn: ERROR_FUNCTION_ARN } },
        ...more,
      },
    });
  }

  /** Resolves once the condition holds; checked after each invocation and refusal. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The payloads that the rules have passed to the function so far. */
  payloads(functionArn = FUNCTION_ARN): Record<string, unknown>[] {
    return this.invocations
      .filter((invocation) => invocation.functionArn === functionArn)
      .map((invocation) => invocation.payload as Record<string, unknown>);
  }

  /** The lifecycle events so far. */
  events(): Record<string, unknown>[] {
    return this.payloads().filter((payload) => "eventType" in payload);
  }

  async #provision(): Promise<void> {
    await this.addPolicy("device", DEVICE_POLICY);
    await this.addRule("ingest", "SELECT *, topic() AS topic, clientid() AS client FROM 'agents/+/events'");
    await this.addRule("presence", "SELECT * FROM '$aws/events/presence/+/+'");
    await this.#put("AWS::IoT::RoleAlias", { RoleAlias: "agent-data", RoleArn: this.roles.roleArn });
  }

  async #put(type: string, properties: Record<string, unknown>): Promise<unknown> {
    const generatedName = `stack-${type.split("::").at(-1)?.toLowerCase()}`;
    return this.core.provider.provision({ type, stack: "stack", logicalId: "Id", properties, generatedName });
  }

  #clientOptions() {
    const address = this.#gateway?.address();
    if (typeof address !== "object" || address === null) throw new Error("the gateway is closed");
    return {
      endpoint: `http://127.0.0.1:${address.port}`,
      region: "local-1",
      credentials: { accessKeyId: "key", secretAccessKey: "secret" },
      maxAttempts: 1,
    };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)/.exec(request.headers.authorization ?? "")?.[1];
    const service = this.core.services.find((candidate) => candidate.name === name);
    if (!service) throw new Error(`no service signs as ${name}`);
    const url = new URL(request.url ?? "", "http://localhost");
    const path = (request.url ?? "").split("?")[0] ?? "";
    const method = request.method ?? "";
    const answer = await service
      .handle({
        caller: this.caller,
        method,
        path,
        query: url.searchParams,
        headers: request.headers,
        body: request,
        readBody: async () => Buffer.concat(await request.toArray()),
        signature: { seed: "", key: Buffer.alloc(0), scope: "", date: "", payloadHash: "" },
      })
      .catch((error) => service.renderError(error, { method, path }));
    response.writeHead(answer.status, answer.headers).end(answer.body);
  }

  #notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

export function administrator(statement: Record<string, unknown> = {}): SessionCaller {
  return {
    kind: "session",
    arn: "arn:aws:sts::000000000000:assumed-role/admin/test",
    roleArn: "arn:aws:iam::000000000000:role/admin",
    sessionName: `test-${randomUUID()}`,
    policies: [{ Statement: { Effect: "Allow", Action: "iot:*", Resource: "*", ...statement } }],
    context: {},
  };
}
