/** What the commands of agents belong to. */
import type { ConversionState } from "../protocol/resources.ts";
import type { AgentRecord } from "./agent.ts";
import type { ConversionRecord } from "./conversion.ts";
import type { WhereaboutsRecord } from "./whereabouts.ts";

/**
 * A conversion, a protection run, a drill, a check, a recovery or a cutover, as far as its commands depend on
 * it.
 */
export interface CommandOwner {
  id: string;
  sourceId: string;
  /** The target host that may read the source's repository while the owner is running. */
  targetId?: string | undefined;
  requestedBy: string;
  /** While it is `cancelling`, only commands that bring a machine back or undo a cutover go out. */
  state: ConversionState;
  /**
   * Of the recovery point that it makes; of a drill, recovery or cutover, the one that it boots. A check has
   * many.
   */
  pointId?: string;
  /** What its recovery point says of it. A drill or a check makes none. */
  madeBy?: { conversionId: string } | { runId: string; planId: string };
  /** Only of a conversion or cutover that restarts its source. */
  whereabouts?: WhereaboutsRecord | undefined;
  /** Of a run that reads its source in the boot environment: the owner that has restarted it. */
  restartedBy?: string | undefined;
  /** From then on only commands that undo a cutover go out. */
  deadlineAt?: string | undefined;
  /** The sizes of the source's disks by the inventory that preflight judged. */
  preflightBytes?: Record<string, number> | undefined;
}

/** Whether the agent is the owner's target host, and was not revoked. */
export function isTargetOf(agent: AgentRecord | undefined, { targetId }: CommandOwner): agent is AgentRecord {
  return agent !== undefined && agent.revokedAt === undefined && agent.id === targetId;
}

export function conversionAsOwner(conversion: ConversionRecord): CommandOwner {
  const { id, sourceId, targetId, requestedBy, state, pointId, whereabouts, preflightBytes } = conversion;
  const madeBy = { conversionId: id };
  return { id, sourceId, targetId, requestedBy, state, pointId, madeBy, whereabouts, preflightBytes };
}
