import { WrongStateError } from "../errors.ts";
import type { RecoveryPoint } from "../protocol/resources.ts";
import type { AgentRecord } from "./agent.ts";

/** Throws `WrongStateError` if the point was pruned, or if it is unknown on which hardware it boots. */
export function requireBootable(point: RecoveryPoint, source: AgentRecord): void {
  if (point.prunedAt !== undefined)
    throw new WrongStateError(
      `recovery point ${point.id} was pruned at ${point.prunedAt}`,
      "Use a newer point: `causeway points SOURCE` lists them.",
    );
  const names = point.disks.map(({ name }) => name);
  if (!source.inventory?.disks.some(({ name }) => names.includes(name)))
    throw new WrongStateError(
      `the hardware that recovery point ${point.id} needs is unknown: the inventory of source ${source.id} has none of its disks`,
      "If the source runs, wait until its agent has reported its disks. Otherwise use a newer point: `causeway points SOURCE` lists them.",
    );
}
