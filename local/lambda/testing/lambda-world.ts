import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../core/clock.ts";
import {
  ACCOUNT_ID,
  type Credentials,
  type PolicyStatement,
  REGION,
  type Resource,
  type Roles,
  type ServiceCaller,
  type SessionCaller,
} from "../../core/service.ts";
import { PolicyEvaluator } from "../../iam/policy-evaluator.ts";
import { Lambda, type LambdaLimits } from "../lambda.ts";
import { LambdaProvider } from "../lambda-provider.ts";
import type { LogLine, LogSink } from "../log-sink.ts";

export const functionRole = `arn:aws:iam::${ACCOUNT_ID}:role/function-role`;
export const iotRule: ServiceCaller = {
  kind: "service",
  service: "iot.amazonaws.com",
  sourceArn: `arn:aws:iot:${REGION}:${ACCOUNT_ID}:rule/progress`,
};

/** A session with only these statements. */
export function sessionOf(...statements: PolicyStatement[]): SessionCaller {
  return {
    kind: "session",
    arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/tester/test`,
    roleArn: `arn:aws:iam::${ACCOUNT_ID}:role/tester`,
    sessionName: "test",
    policies: [{ Version: "2012-10-17", Statement: statements }],
    context: {},
  };
}
export const anyone = sessionOf({ Effect: "Allow", Action: "*", Resource: "*" });

/** Log lines in memory, which a test can wait for. */
export class MemoryLog implements LogSink {
  readonly lines: { source: string; line: LogLine }[] = [];
  #waiting: (() => void)[] = [];

  write(source: string, line: LogLine): void {
    this.lines.push({ source, line });
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Returns once `count` lines contain the text. */
  async contains(text: string, count = 1): Promise<void> {
    while (this.lines.filter(({ line }) => JSON.stringify(line.message).includes(text)).length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** Roles that any service may assume. Keys are numbered and valid for the requested duration. */
export class OpenRoles implements Roles {
  readonly #clock: ManualClock;
  issued = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  assumeForService(
    roleArn: string,
    _service: string,
    { sessionName }: { sessionName: string },
  ): SessionCaller {
    return { ...anyone, roleArn, sessionName };
  }

  issueCredentials(_session: SessionCaller, durationSeconds: number): Credentials {
    const expiresAt = this.#clock.now() + durationSeconds * 1000;
    this.issued++;
    return { accessKeyId: `ASIA${this.issued}`, secretAccessKey: "secret", sessionToken: "token", expiresAt };
  }
}

/** A Lambda service on a new or given data directory, and functions made of source text. */
export class LambdaWorld {
  readonly directory: string;
  readonly clock: ManualClock;
  readonly log = new MemoryLog();
  readonly roles: OpenRoles;
  readonly lambda: Lambda;
  readonly provider: LambdaProvider;

  constructor(options: { limits?: Partial<LambdaLimits>; directory?: string; clock?: ManualClock } = {}) {
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), "lambda-"));
    this.clock = options.clock ?? new ManualClock();
    this.roles = new OpenRoles(this.clock);
    this.lambda = new Lambda({
      dataDirectory: join(this.directory, "lambda"),
      gatewayUrl: () => "http://127.0.0.1:4510",
      authorizer: new PolicyEvaluator(),
      roles: this.roles,
      clock: this.clock,
      newId: randomUUID,
      log: this.log,
      ...(options.limits && { limits: options.limits }),
    });
    this.provider = new LambdaProvider({
      lambda: this.lambda,
      assets: { directoryFor: (key) => join(this.directory, key) },
    });
  }

  /** Declares a function whose code is one file (by default `index.mjs`). Returns its ARN. */
  async addFunction(
    name: string,
    source: string,
    properties: Record<string, unknown> = {},
    file = "index.mjs",
  ): Promise<string> {
    mkdirSync(join(this.directory, name), { recursive: true });
    writeFileSync(join(this.directory, name, file), source);
    const { attributes } = await this.provision("AWS::Lambda::Function", name, {
      FunctionName: name,
      Code: { S3Bucket: "assets", S3Key: name },
      Handler: "index.handler",
      Runtime: "nodejs24.x",
      Role: functionRole,
      ...properties,
    });
    return attributes.Arn ?? "";
  }

  provision(
    type: string,
    logicalId: string,
    properties: Record<string, unknown>,
  ): ReturnType<LambdaProvider["provision"]> {
    const resource: Resource = {
      type,
      stack: "Test",
      logicalId,
      properties,
      generatedName: `test-${logicalId}`,
    };
    return this.provider.provision(resource);
  }
}
