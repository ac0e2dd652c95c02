import { RestartRefusedError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { AfterAnswer } from "../commands/after-answer.ts";
import type { ExecutionContext, Executor } from "../commands/executor.ts";

export interface RestartDeps {
  /** The boot that this process runs in. */
  bootId: string;
  /**
   * Why the agent, from its own records, refuses this restart; `undefined` if it allows it. If it throws, the
   * command fails with that error.
   */
  refusal: (wanted: WantedRestart) => Promise<string | undefined>;
  /** Restarts the machine; the process is killed before this resolves. */
  restart: () => Promise<void>;
  afterAnswer: Pick<AfterAnswer, "plan">;
  /**
   * The machine is not restarted although the agent has answered that it will be: a rule refuses since, or
   * the machine does. The control plane gets the reason afterwards.
   */
  onNotRestarted: (wanted: WantedRestart, error: unknown) => Promise<void>;
}

type WantedRestart = CommandInput<"reboot">;

/**
 * Restarts the machine once the control plane has the answer that it is about to, so that the control plane
 * expects the silence afterwards.
 */
export function restartExecutor(deps: RestartDeps): Executor<"reboot"> {
  return async (wanted, { commandId, signal, retract }) => {
    const { bootId } = wanted;
    // From an earlier boot: the restart has already happened.
    if (bootId !== undefined && bootId !== deps.bootId) return {};
    await requireAllowed(wanted, deps);
    // Cancelled in the meantime, when nothing was waiting yet.
    signal.throwIfAborted();
    deps.afterAnswer.plan(commandId, () => restart(wanted, deps, retract));
    return {};
  };
}

async function restart(
  wanted: WantedRestart,
  deps: RestartDeps,
  retract: ExecutionContext["retract"],
): Promise<void> {
  try {
    // Seconds have passed since the answer, in which an update may have changed the boot loader.
    await requireAllowed(wanted, deps);
    await deps.restart();
  } catch (error) {
    await deps.onNotRestarted(wanted, error);
    await retract(error);
  }
}

async function requireAllowed(wanted: WantedRestart, { refusal }: RestartDeps): Promise<void> {
  const why = await refusal(wanted);
  if (why) throw new RestartRefusedError(wanted.conversionId, why);
}
