import * as z from "zod";
import { isSourceAway } from "#shared/domain/cutover/cutover.ts";
import { definingCommand } from "#shared/domain/machine.ts";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { haltCutover } from "../cutover/stop-cutover.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildProtection } from "../protection/build.ts";
import type { ProtectionDeps } from "../protection/deps.ts";

export const Input = z.object({ cutoverId: CutoverId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/roll-back-cutover",
  input: Input,
  build: buildProtection,
  run,
});

interface HowFar {
  /** Whether something is to be undone on the source or the target host. */
  undo: boolean;
  /** Whether a machine may be defined on the target host. */
  hasMachine: boolean;
  /** Whether the source may be armed, restarting, or in its boot environment. */
  isAway: boolean;
  /** Of the lease for which the source was to make way; absent if there was none. */
  term?: number;
  failure: Failure;
}

/**
 * Stops a cutover after a failure or an operator's word, and says how far it had come: the workflow undoes
 * that. Repeating it changes nothing.
 */
export async function run(
  { cutoverId, error }: z.output<typeof Input>,
  deps: ProtectionDeps,
): Promise<HowFar> {
  const cutover = await haltCutover(cutoverId, workflowFailure(error), deps);
  const { commands } = await deps.store.cutovers.withCommands(cutoverId);
  const fence = commands.find(({ kind, label }) => kind === "set-fence" && label === "up");
  const asked = z.object({ term: z.int().positive() }).safeParse(fence?.input).data?.term;
  const lease = await deps.store.leases.get(cutover.sourceId);
  const isOurs = lease.ownerId === cutoverId && lease.state !== "none";
  const term = asked ?? (isOurs ? lease.term : undefined);
  return {
    undo: cutover.state === "rolling-back",
    hasMachine: definingCommand(commands) !== undefined,
    isAway: isSourceAway(cutover),
    ...(term === undefined ? {} : { term }),
    failure: cutover.failure ?? workflowFailure(error),
  };
}
