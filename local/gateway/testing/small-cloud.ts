import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generatedName } from "../../assembly/generated-name.ts";
import { ManualClock } from "../../core/clock.ts";
import { systemRandomness } from "../../core/randomness.ts";
import {
  ACCOUNT_ID,
  type Credentials,
  type PolicyStatement,
  type ProvisionedResource,
  REGION,
  type Service,
} from "../../core/service.ts";
import { DynamoDbService } from "../../dynamodb/dynamodb-service.ts";
import { TableProvider } from "../../dynamodb/table-provider.ts";
import { TableStore } from "../../dynamodb/table-store.ts";
import { TimeToLive } from "../../dynamodb/time-to-live.ts";
import { IamProvider } from "../../iam/iam-providers.ts";
import { PolicyEvaluator } from "../../iam/policy-evaluator.ts";
import { RoleRegistry } from "../../iam/role-registry.ts";
import { SessionStore } from "../../iam/session-store.ts";
import { KeyRegistry } from "../../kms/key-registry.ts";
import { KeyStore } from "../../kms/key-store.ts";
import { KmsProvider } from "../../kms/kms-providers.ts";
import { KmsService } from "../../kms/kms-service.ts";
import { StsService } from "../../sts/sts-service.ts";
import { Gateway } from "../gateway.ts";

/**
 * For tests: gateway, IAM, STS, KMS and DynamoDB on a temporary directory and a free port, with resources
 * provisioned one by one.
 */
export class SmallCloud {
  readonly directory: string;
  /** Starts at the machine's time, because the SDK signs with that time. */
  readonly clock: ManualClock;
  readonly roles: RoleRegistry;
  readonly tables: TableStore;
  readonly timeToLive: TimeToLive;
  readonly gateway: Gateway;
  url = "";
  readonly #sessions: SessionStore;
  readonly #providers: (IamProvider | KmsProvider | TableProvider)[];

  private constructor(directory: string, clock: ManualClock, tables: TableStore, extra: Service[]) {
    const authorizer = new PolicyEvaluator();
    const randomness = systemRandomness;
    this.directory = directory;
    this.clock = clock;
    this.tables = tables;
    this.#sessions = new SessionStore({ file: join(directory, "iam.sqlite"), clock, randomness });
    this.roles = new RoleRegistry({ authorizer, sessions: this.#sessions });
    const keys = new KeyRegistry();
    const store = new KeyStore({ directory: join(directory, "kms"), clock, randomness });
    this.timeToLive = new TimeToLive({ tables, clock, log: raise });
    this.#providers = [
      new IamProvider(this.roles),
      new KmsProvider({ keys, store }),
      new TableProvider({ tables, timeToLive: this.timeToLive }),
    ];
    this.gateway = new Gateway({ sessions: this.roles, clock, log: () => {} });
    const services = [
      new StsService(this.roles),
      new KmsService({ keys, store, authorizer, randomness }),
      new DynamoDbService({ tables, authorizer }),
    ];
    this.gateway.open([...services, ...extra], answerFallback);
  }

  static async start(
    options: { directory?: string; clock?: ManualClock; services?: Service[] } = {},
  ): Promise<SmallCloud> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "small-cloud-")));
    const clock = options.clock ?? new ManualClock(Date.now());
    const tables = await TableStore.open({ directory: join(directory, "dynamodb"), clock });
    const cloud = new SmallCloud(directory, clock, tables, options.services ?? []);
    cloud.url = `http://127.0.0.1:${await cloud.gateway.listen(0, "127.0.0.1")}`;
    return cloud;
  }

  /** Stops the cloud and keeps the data for the next start. */
  async stop(): Promise<void> {
    await this.gateway.close();
    await this.timeToLive.close();
    await this.tables.close();
    this.#sessions.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async provision(
    type: string,
    logicalId: string,
    properties: Record<string, unknown>,
  ): Promise<ProvisionedResource> {
    const provider = this.#providers.find(({ types }) => types.includes(type));
    if (!provider) throw new Error(`no provider for ${type}`);
    const resource = { type, stack: "Test", logicalId, properties };
    return provider.provision({ ...resource, generatedName: generatedName("Test", logicalId) });
  }

  /** Declares a role with one inline policy and returns its ARN. Lambda and the account may assume it. */
  async addRole(name: string, ...statements: PolicyStatement[]): Promise<string> {
    const role = await this.provision("AWS::IAM::Role", name, {
      RoleName: name,
      AssumeRolePolicyDocument: policy(
        { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
        { Effect: "Allow", Principal: { AWS: accountRoot }, Action: "sts:AssumeRole" },
      ),
      Policies:
        statements.length === 0 ? [] : [{ PolicyName: "inline", PolicyDocument: policy(...statements) }],
    });
    return role.attributes.Arn ?? "";
  }

  /** What an SDK client needs to call as a new role with these permissions. */
  async clientFor(name: string, ...statements: PolicyStatement[]) {
    return this.config(this.credentials(await this.addRole(name, ...statements)));
  }

  credentials(roleArn: string): Credentials {
    const session = this.roles.assumeForService(roleArn, "lambda.amazonaws.com", { sessionName: "test" });
    return this.roles.issueCredentials(session, 3600);
  }

  config({ accessKeyId, secretAccessKey, sessionToken }: Omit<Credentials, "expiresAt">) {
    return {
      endpoint: this.url,
      region: REGION,
      credentials: { accessKeyId, secretAccessKey, sessionToken },
      maxAttempts: 1,
    };
  }
}

export const accountRoot = `arn:aws:iam::${ACCOUNT_ID}:root`;

export function policy(...statements: PolicyStatement[]) {
  return { Version: "2012-10-17", Statement: statements };
}

async function answerFallback(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.end(`fallback ${request.method} ${request.url}`);
}

function raise(message: string, error: unknown): never {
  throw new Error(message, { cause: error });
}
