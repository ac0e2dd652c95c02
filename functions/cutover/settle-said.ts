import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { isSameSaid, saidOf } from "#shared/domain/cutover/said.ts";
import type { ReportDeps } from "../alarm/raise.ts";

/**
 * Notes what the agents have said of the cutover's end. Call it after each change of the cutover's state and
 * of such a command: the later of the two sees both. Repeating it changes nothing.
 */
export async function settleSaid(cutoverId: string, deps: Pick<ReportDeps, "store">): Promise<CutoverRecord> {
  const { cutovers } = deps.store;
  const { record, commands } = await cutovers.withCommands(cutoverId);
  const said = saidOf(record, commands);
  if (isSameSaid(record, said)) return record;
  await cutovers.modify(cutoverId, (one) => ({ ...one, ...said }));
  // An agent can have answered, or taken its answer back, since it was read.
  return settleSaid(cutoverId, deps);
}
