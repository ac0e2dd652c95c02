import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { enrol } from "#agent/identity/enrol.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { currentAssembly } from "#cli/assembly.ts";
import { version } from "#cli/version.ts";
import { type Cloud, startCloud } from "#local/cloud.ts";
import { systemClock } from "#local/core/clock.ts";
import { type ApiClient, createApiClient } from "#shared/protocol/client.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import type { AuditEntry, Conversion } from "#shared/protocol/resources.ts";
import { until } from "./until.ts";

const program = { name: "a test", version };

export interface HttpAnswer {
  status: number;
  type: string;
  headers: Headers;
  /** The document, or the bare text if it is not JSON. */
  body: unknown;
}

export interface HttpRequest {
  /** The body as sent. Objects are sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  /** `undefined`: the operator's; `null`: none. */
  token?: string | null;
}

/**
 * The real assembly on an embedded cloud in this process: it starts faster than `causeway up` but is
 * otherwise the same.
 */
export class ControlPlane {
  readonly dir: string;
  #cloud: Cloud;
  #token: string;

  private constructor(dir: string, cloud: Cloud, token: string) {
    this.dir = dir;
    this.#cloud = cloud;
    this.#token = token;
  }

  static async start(): Promise<ControlPlane> {
    const dir = await mkdtemp(join(tmpdir(), "causeway-e2e-"));
    const cloud = await open(dir);
    return new ControlPlane(dir, cloud, await tokenOf(cloud));
  }

  get url(): string {
    return this.#cloud.url;
  }

  /** An operator's access token. */
  get token(): string {
    return this.#token;
  }

  /** The API as an operator. */
  get api(): ApiClient {
    const authorization = `Bearer ${this.#token}`;
    return createApiClient({
      url: this.url,
      authorize: async ({ headers }) => ({ ...headers, authorization }),
    });
  }

  /**
   * A user's token of the user pool that is valid for `lifetimeSeconds`; if negative, it has expired that
   * long ago.
   */
  tokenFor(lifetimeSeconds: number, username?: string): Promise<string> {
    return tokenOf(this.#cloud, lifetimeSeconds, username);
  }

  /**
   * A bare HTTP request, without the typed client's corrections. Retries if the API's throttle refuses it.
   */
  async http(method: string, path: string, { body, headers, token }: HttpRequest = {}): Promise<HttpAnswer> {
    const authorization = token === null ? {} : { authorization: `Bearer ${token ?? this.#token}` };
    const response = await unthrottled(this.url + path, {
      method,
      headers: {
        ...authorization,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      type: response.headers.get("content-type") ?? "",
      headers: response.headers,
      body: jsonOr(text),
    };
  }

  /** A new agent's identity, enrolled through the API as agents do. */
  async enrol(role: EnrollableRole, name: string): Promise<Identity> {
    const { token = "" } = await this.api.createEnrolmentToken({ body: { role } });
    const api = createApiClient({ url: this.url });
    return enrol({ api, url: this.url, token, role, name, random: Math.random });
  }

  /** Waits for a matching audit entry, because entries about devices arrive through the topic rules. */
  audited(fits: Partial<AuditEntry>): Promise<AuditEntry> {
    return until(`${JSON.stringify(fits)} in the audit`, async () => {
      const { items } = await this.api.listAudit({ query: { limit: 200 } });
      const fit = (entry: AuditEntry) =>
        Object.entries(fits).every(([name, value]) => entry[name as keyof AuditEntry] === value);
      return items.find(fit);
    });
  }

  /** Waits until the agents are connected and have sent their inventories. */
  async heard(...agentIds: string[]): Promise<void> {
    await until(`${agentIds.join(", ")} to be heard`, async () => {
      const [sources, targets] = await Promise.all([this.api.listSources({}), this.api.listTargets({})]);
      const heard = [...sources.items, ...targets.items]
        .filter(({ presence, inventory }) => presence === "connected" && inventory)
        .map(({ id }) => id);
      return agentIds.every((id) => heard.includes(id)) || undefined;
    });
  }

  /** A conversion, once it has ended. */
  ended(id: string): Promise<Conversion> {
    return until(`conversion ${id} to end`, async () => {
      const conversion = await this.api.getConversion({ parameters: { id } });
      return conversion.endedAt ? conversion : undefined;
    });
  }

  /** Stops it, runs `between` on its stored data, and starts it again. */
  async restart(between: () => Promise<void> = async () => {}): Promise<void> {
    await this.#cloud.close();
    await between();
    this.#cloud = await open(this.dir);
  }

  async close(): Promise<void> {
    await this.#cloud.close();
    await rm(this.dir, { recursive: true });
  }
}

async function open(dir: string): Promise<Cloud> {
  return startCloud({
    assemblyDir: await currentAssembly(() => {}),
    dataDir: dir,
    clock: systemClock,
    program,
  });
}

function tokenOf(cloud: Cloud, lifetimeSeconds = 3600, username = "ada"): Promise<string> {
  return cloud.issueToken({
    userPoolId: cloud.output("CausewayApi", "UserPoolId"),
    clientId: cloud.output("CausewayApi", "UserPoolClientId"),
    username,
    lifetimeSeconds,
  });
}

/** Tests ask faster than the API's throttle allows. */
async function unthrottled(url: string, init: RequestInit): Promise<Response> {
  for (;;) {
    const response = await fetch(url, init);
    if (response.status !== 429) return response;
    await response.text();
    await sleep(100);
  }
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
