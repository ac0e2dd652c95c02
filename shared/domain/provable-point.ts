import { WrongStateError } from "../errors.ts";
import type { RecoveryPoint } from "../protocol/resources.ts";
import type { AgentRecord } from "./agent.ts";

/**
 * When the point's freeze began, by its source's clock. Throws `WrongStateError` if files of the source
 * cannot be read now, or could not be compared with those of the point.
 */
export function requireProvable({ id, frozen }: RecoveryPoint, source: AgentRecord): string {
  if (source.revokedAt !== undefined || source.presence.state !== "connected")
    throw new WrongStateError(
      `the agent of source ${source.id} is not connected, so its files cannot be read`,
      "Leave --prove out, or wait until the agent has connected.",
    );
  if (!frozen)
    throw new WrongStateError(
      `the file systems of recovery point ${id} were not frozen, so its files cannot be compared`,
      "A new recovery point of disks that are in use and can be copied as of one instant can be proved.",
    );
  return frozen.from;
}
