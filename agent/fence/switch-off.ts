import { WrongStateError } from "#shared/errors.ts";
import type { AfterAnswer } from "../commands/after-answer.ts";
import type { Executor } from "../commands/executor.ts";
import type { FenceKeeper } from "./fence-keeper.ts";

export interface SwitchOffDeps {
  fence: Pick<FenceKeeper, "read">;
  afterAnswer: Pick<AfterAnswer, "plan">;
  /** Shuts the machine down; the process is killed before this resolves. */
  switchOff: () => Promise<void>;
}

/** Shuts the source down after the answer, if it is fenced for this term then, too. */
export function switchOffExecutor({ fence, afterAnswer, switchOff }: SwitchOffDeps): Executor<"switch-off"> {
  const requireFence = async (term: number) => {
    const { isUp, term: known } = await fence.read();
    if (!isUp || known !== term)
      throw new WrongStateError(
        `the source is not fenced for term ${term}, so it may serve its clients`,
        "`causeway fence` at its console shows its fence.",
      );
  };
  return async ({ term }, { commandId, signal, retract }) => {
    await requireFence(term);
    signal.throwIfAborted();
    afterAnswer.plan(commandId, async () => {
      try {
        // A person at the console can have broken the fence since the answer.
        await requireFence(term);
        await switchOff();
      } catch (error) {
        await retract(error);
      }
    });
    return {};
  };
}
