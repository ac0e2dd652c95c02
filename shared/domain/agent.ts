/** An enrolled machine: its record, and how that may change. */
import * as z from "zod";
import { ForbiddenError, NotFoundError, SourceConnectedError, WrongStateError } from "../errors.ts";
import { EnrollableRole, Timestamp } from "../protocol/common.ts";
import { AgentId, ConversionId, OwnerId, PlanId, RunId } from "../protocol/ids.ts";
import { Inventory, UNKNOWN } from "../protocol/inventory.ts";
import { AgentSystem, BootId } from "../protocol/machine.ts";
import type { Source, Target } from "../protocol/resources.ts";
import { PresenceRecord } from "./presence.ts";

export const AgentRecord = z.object({
  id: AgentId,
  role: EnrollableRole,
  name: z.string(),
  certificateId: z.string(),
  /** The device certificate alone, without its issuers. */
  certificatePem: z.string().optional(),
  enrolledAt: Timestamp,
  revokedAt: Timestamp.optional(),
  presence: PresenceRecord,
  lastSeenAt: Timestamp.optional(),
  agentVersion: z.string().optional(),
  /**
   * An inventory that an agent of another version wrote and this version cannot read counts as absent: the
   * agent sends a new one when it connects.
   */
  inventory: Inventory.optional().catch(undefined),
  /** The system that it last reported from; `bootId` is the boot of that system. */
  environment: AgentSystem.default("original"),
  /**
   * The only system that may use its identity. `boot-environment`: an operator started the machine from a
   * boot image by hand.
   */
  enrolledFrom: AgentSystem.default("original"),
  /** Of a machine started by hand: the hardware addresses that the operator saw when approving it. */
  approvedPorts: z.array(z.string()).optional(),
  /** The source that its machine became when it was started by hand again. */
  restartedAs: z.string().optional(),
  bootId: BootId.optional(),
  /** For a source: the conversion or protection run that holds it. */
  heldBy: OwnerId.optional(),
  /** For a source: the plan that protects it. */
  planId: PlanId.optional(),
  version: z.int(),
});
export type AgentRecord = z.infer<typeof AgentRecord>;

export interface Introduction {
  agentVersion: string;
  environment?: AgentSystem | undefined;
  bootId?: string | undefined;
  inventory?: Inventory | undefined;
}

/**
 * The agent after it has reported its version, system and inventory. The record keeps the inventory of the
 * system that the agent enrolled from, and ignores one from the other system.
 */
export function introduced(agent: AgentRecord, report: Introduction, at: string): AgentRecord {
  const { agentVersion, environment = "original", bootId = bootIdIn(report.inventory) } = report;
  const inventory =
    environment === agent.enrolledFrom ? (report.inventory ?? agent.inventory) : agent.inventory;
  return { ...agent, agentVersion, environment, bootId, inventory, lastSeenAt: at };
}

function bootIdIn(inventory: Inventory | undefined): string | undefined {
  return inventory && BootId.safeParse(inventory.bootId).success && inventory.bootId !== UNKNOWN
    ? inventory.bootId
    : undefined;
}

/**
 * Whether `other` is an earlier start by hand of the same machine: both were approved with the same network
 * ports, `other` was enrolled before `agent`, and `other` is no longer connected. Ports in an inventory do
 * not count: an agent can send those of any machine.
 */
export function isEarlierStart(other: AgentRecord, agent: AgentRecord): boolean {
  const ports = portsOf(agent);
  return (
    other.id !== agent.id &&
    other.enrolledFrom === "boot-environment" &&
    agent.enrolledFrom === "boot-environment" &&
    other.enrolledAt < agent.enrolledAt &&
    (other.restartedAs ?? agent.id) === agent.id &&
    other.presence.state !== "connected" &&
    ports !== "" &&
    portsOf(other) === ports
  );
}

function portsOf({ approvedPorts = [] }: AgentRecord): string {
  return [...approvedPorts].sort().join(" ");
}

/** Notes the source that its machine has become; an earlier note stays. */
export function restarted(agent: AgentRecord, as: string): AgentRecord {
  return agent.restartedAs ? agent : { ...agent, restartedAs: as };
}

export function revoked(agent: AgentRecord, at: string): AgentRecord {
  return agent.revokedAt ? agent : { ...agent, revokedAt: at };
}

/**
 * The source, held by a conversion or protection run. Returns the same record if that one already holds it;
 * throws `WrongStateError` if another one does.
 */
export function held(source: AgentRecord, ownerId: string): AgentRecord {
  const holder = source.heldBy;
  if (holder === ownerId) return source;
  if (holder === undefined) return { ...source, heldBy: ownerId };
  throw RunId.safeParse(holder).success
    ? new WrongStateError(
        `source ${source.id} is held by protection run ${holder}`,
        `Wait until it ends, or delete its plan with \`causeway plan ${source.planId ?? "PLAN"} delete\`.`,
      )
    : new WrongStateError(
        `source ${source.id} is held by conversion ${holder}`,
        `Wait until it ends, or cancel it with \`causeway cancel ${holder}\`.`,
      );
}

/** The source without the owner's hold. The hold of another owner stays. */
export function released(source: AgentRecord, ownerId: string): AgentRecord {
  if (source.heldBy !== ownerId) return source;
  const { heldBy: _, ...free } = source;
  return free;
}

/** The source, protected by the plan. Throws `WrongStateError` if another plan protects it. */
export function protectedBy(source: AgentRecord, planId: string): AgentRecord {
  if (source.planId === planId) return source;
  if (source.planId === undefined) return { ...source, planId };
  throw new WrongStateError(
    `source ${source.id} is protected by plan ${source.planId}`,
    `Change that plan with \`causeway plan ${source.planId} edit\`, or delete it first.`,
  );
}

/** The source without this plan. Another plan stays. */
export function unprotected(source: AgentRecord, planId: string): AgentRecord {
  if (source.planId !== planId) return source;
  const { planId: _, ...free } = source;
  return free;
}

/** Returns the agent, revoked or not. Throws `NotFoundError` if it does not have the role. */
export function requireRole(agent: AgentRecord | undefined, role: EnrollableRole, id: string): AgentRecord {
  if (agent?.role !== role) throw new NotFoundError(role === "target" ? "target host" : role, id);
  return agent;
}

/** As `requireRole`, and throws `ForbiddenError` if the agent was revoked. */
export function requireServing(
  agent: AgentRecord | undefined,
  role: EnrollableRole,
  id: string,
): AgentRecord {
  const having = requireRole(agent, role, id);
  if (having.revokedAt) throw new ForbiddenError(`${role} ${id} was revoked at ${having.revokedAt}`);
  return having;
}

/**
 * Throws `SourceConnectedError` if the source's agent is connected, or was after `since`. An agent that was
 * revoked can no longer connect, so nothing is known of its machine.
 */
export function requireAway({ id, revokedAt, presence, lastSeenAt = "" }: AgentRecord, since: string): void {
  if (revokedAt) return;
  const presentAt = new Date(presence.at).toISOString();
  const seenAt = lastSeenAt > presentAt ? lastSeenAt : presentAt;
  if (presence.state === "connected" || seenAt > since) throw new SourceConnectedError(id, seenAt);
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
  const { heldBy, planId, environment, enrolledFrom, restartedAs } = agent;
  const shown = targetOf(agent);
  return {
    ...shown,
    activeConversionId: ConversionId.safeParse(heldBy).data,
    activeRunId: RunId.safeParse(heldBy).data,
    planId,
    environment,
    enrolledFrom,
    restartedAs,
    coldCloningReady:
      enrolledFrom === "boot-environment" &&
      shown.presence === "connected" &&
      agent.inventory !== undefined &&
      heldBy === undefined,
  };
}
