/** An enrolled machine: what is stored of it, and what may happen to it. */
import { z } from "zod";
import { ForbiddenError, NotFoundError, WrongStateError } from "../errors.ts";
import { EnrollableRole, Timestamp } from "../protocol/common.ts";
import { AgentId, ConversionId } from "../protocol/ids.ts";
import { Inventory, UNKNOWN } from "../protocol/inventory.ts";
import { AgentEnvironment, BootId } from "../protocol/machine.ts";
import type { Source, Target } from "../protocol/resources.ts";
import { hardwareAddressesOf } from "./hardware-address.ts";
import { PresenceRecord } from "./presence.ts";

export const AgentRecord = z.object({
  id: AgentId,
  role: EnrollableRole,
  name: z.string(),
  certificateId: z.string(),
  /** The device's own, without its issuers'. */
  certificatePem: z.string().optional(),
  enrolledAt: Timestamp,
  revokedAt: Timestamp.optional(),
  presence: PresenceRecord,
  lastSeenAt: Timestamp.optional(),
  agentVersion: z.string().optional(),
  /**
   * One that an agent of another version wrote and we cannot read counts as none: it sends a new one when it
   * connects.
   */
  inventory: Inventory.optional().catch(undefined),
  /** Where it was last heard, and in which boot of that system. */
  environment: AgentEnvironment.default("original"),
  /**
   * The only system that its identity is for. `boot-environment`: its machine was started from a boot image
   * by hand.
   */
  enrolledFrom: AgentEnvironment.default("original"),
  /** Started by hand once more, its machine is this other source now. */
  restartedAs: z.string().optional(),
  bootId: BootId.optional(),
  /** Sources: the conversion that holds it. */
  activeConversionId: ConversionId.optional(),
  version: z.int(),
});
export type AgentRecord = z.infer<typeof AgentRecord>;

export interface Introduction {
  agentVersion: string;
  environment?: AgentEnvironment | undefined;
  bootId?: string | undefined;
  inventory?: Inventory | undefined;
}

/**
 * The agent told what it is and has. The inventory stays that of the system that it enrolled from, whatever
 * the boot environment sees.
 */
export function introduced(agent: AgentRecord, told: Introduction, at: string): AgentRecord {
  const { agentVersion, environment = "original", bootId = bootIdIn(told.inventory) } = told;
  const inventory =
    environment === agent.enrolledFrom ? (told.inventory ?? agent.inventory) : agent.inventory;
  return { ...agent, agentVersion, environment, bootId, inventory, lastSeenAt: at };
}

function bootIdIn(inventory: Inventory | undefined): string | undefined {
  return inventory && BootId.safeParse(inventory.bootId).success && inventory.bootId !== UNKNOWN
    ? inventory.bootId
    : undefined;
}

/**
 * Whether both were enrolled by an approval of the same machine, by its network ports, and the other one,
 * before, is not heard any more.
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

function portsOf({ inventory }: AgentRecord): string {
  return hardwareAddressesOf(inventory?.network.interfaces ?? [])
    .sort()
    .join(" ");
}

/** Its machine is this other source now; a mark that it has stays. */
export function restarted(agent: AgentRecord, as: string): AgentRecord {
  return agent.restartedAs ? agent : { ...agent, restartedAs: as };
}

export function revoked(agent: AgentRecord, at: string): AgentRecord {
  return agent.revokedAt ? agent : { ...agent, revokedAt: at };
}

/**
 * The source, held by the conversion; held already by the same one, it stays as it is. Throws
 * `WrongStateError` if another holds it.
 */
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

/**
 * Throws unless the agent has the role (`NotFoundError`: there is no such source) and still is trusted
 * (`ForbiddenError`).
 */
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
  const { activeConversionId, environment, enrolledFrom, restartedAs } = agent;
  const shown = targetOf(agent);
  return {
    ...shown,
    activeConversionId,
    environment,
    enrolledFrom,
    restartedAs,
    coldCloningReady:
      enrolledFrom === "boot-environment" &&
      shown.presence === "connected" &&
      agent.inventory !== undefined &&
      activeConversionId === undefined,
  };
}
