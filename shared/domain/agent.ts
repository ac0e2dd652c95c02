/** An enrolled machine: what is stored of it, and what may happen to it. */
import { z } from "zod";
import { ForbiddenError, NotFoundError, WrongStateError } from "../errors.ts";
import { EnrollableRole, Timestamp } from "../protocol/common.ts";
import { Inventory } from "../protocol/inventory.ts";
import type { Source, Target } from "../protocol/resources.ts";
import { PresenceRecord } from "./presence.ts";

export const AgentRecord = z.object({
  id: z.string(),
  role: EnrollableRole,
  name: z.string(),
  certificateId: z.string(),
  enrolledAt: Timestamp,
  revokedAt: Timestamp.optional(),
  presence: PresenceRecord,
  lastSeenAt: Timestamp.optional(),
  agentVersion: z.string().optional(),
  /** One that an agent of another version wrote and we cannot read counts as none: it sends a new one when it connects. */
  inventory: Inventory.optional().catch(undefined),
  /** Sources: the conversion that holds it. */
  activeConversionId: z.string().optional(),
  version: z.int(),
});
export type AgentRecord = z.infer<typeof AgentRecord>;

/** The agent told what it is and has. */
export function introduced(
  agent: AgentRecord,
  told: { agentVersion: string; inventory: Inventory },
  at: string,
): AgentRecord {
  return { ...agent, agentVersion: told.agentVersion, inventory: told.inventory, lastSeenAt: at };
}

export function revoked(agent: AgentRecord, at: string): AgentRecord {
  return agent.revokedAt ? agent : { ...agent, revokedAt: at };
}

/** The source, held by the conversion; held already by the same one, it stays as it is. Throws `WrongStateError` if another holds it. */
export function held(source: AgentRecord, conversionId: string): AgentRecord {
  if (source.activeConversionId === conversionId) return source;
  if (source.activeConversionId !== undefined) {
    throw new WrongStateError(
      `source ${source.id} is held by conversion ${source.activeConversionId}`,
      `Wait until it ends, or cancel it with \`causeway cancel ${source.activeConversionId}\`.`,
    );
  }
  return { ...source, activeConversionId: conversionId };
}

/** The source without the conversion's hold; a hold of another conversion is left alone. */
export function released(source: AgentRecord, conversionId: string): AgentRecord {
  if (source.activeConversionId !== conversionId) return source;
  const { activeConversionId: _, ...free } = source;
  return free;
}

/** Throws unless the agent has the role (`NotFoundError`: there is no such source) and still is trusted (`ForbiddenError`). */
export function mustServe(agent: AgentRecord | undefined, role: EnrollableRole, id: string): AgentRecord {
  if (agent?.role !== role) throw new NotFoundError(role, id);
  if (agent.revokedAt) throw new ForbiddenError(`${role} ${id} was revoked at ${agent.revokedAt}`);
  return agent;
}

export function targetOf(agent: AgentRecord): Target {
  const { id, name, lastSeenAt, enrolledAt, revokedAt, agentVersion, inventory } = agent;
  return {
    id,
    name,
    presence: agent.revokedAt ? "disconnected" : agent.presence.state,
    lastSeenAt,
    enrolledAt,
    revokedAt,
    agentVersion,
    inventory,
  };
}

export function sourceOf(agent: AgentRecord): Source {
  return { ...targetOf(agent), activeConversionId: agent.activeConversionId };
}
