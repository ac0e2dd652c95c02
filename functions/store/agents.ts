import { AgentRecord } from "#shared/domain/agent.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: `AGENT#${id}`, sk: "AGENT" });
const certificateKey = (id: string) => ({ pk: `CERTIFICATE#${id}`, sk: "CERTIFICATE" });

export class AgentStore {
  readonly #table: Table;
  readonly #agents: Aggregates<AgentRecord>;

  constructor(table: Table) {
    this.#table = table;
    this.#agents = new Aggregates(table, {
      what: "agent",
      schema: AgentRecord,
      keys: (agent) => ({ ...keyOf(agent.id), gsi1pk: `ROLE#${agent.role}`, gsi1sk: agent.id }),
    });
  }

  find(id: string): Promise<AgentRecord | undefined> {
    return this.#agents.find(keyOf(id));
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<AgentRecord> {
    return found(id, await this.find(id));
  }

  /** The agent to which a certificate was issued. */
  async findByCertificate(certificateId: string): Promise<AgentRecord | undefined> {
    const item = await this.#table.get(certificateKey(certificateId));
    return typeof item?.agentId === "string" ? this.find(item.agentId) : undefined;
  }

  /**
   * Adds the agent and an item that finds it by its certificate. Returns the existing agent if there is one.
   * Safe to repeat.
   */
  async add(agent: AgentRecord): Promise<AgentRecord> {
    await this.#table.putNew({ ...certificateKey(agent.certificateId), agentId: agent.id });
    return this.#agents.modify(keyOf(agent.id), (existing) => existing ?? agent);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (agent: AgentRecord) => AgentRecord): Promise<AgentRecord> {
    return this.#agents.modify(keyOf(id), (agent) => change(found(id, agent)));
  }

  /** Newest first. */
  page(
    role: EnrollableRole,
    query: { limit: number; cursor?: string | undefined },
  ): Promise<TablePage<AgentRecord>> {
    return this.#agents.page({ partition: `ROLE#${role}`, index: true, ...query });
  }
}

function found(id: string, agent: AgentRecord | undefined): AgentRecord {
  if (!agent) throw new NotFoundError("agent", id);
  return agent;
}
