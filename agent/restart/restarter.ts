import { RestartRefusedError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { ExecutionContext, Executor } from "../commands/executor.ts";

export interface RestarterOptions {
  /** The boot that this process runs in. */
  bootId: string;
  /**
   * Why the agent, from its own records, refuses this restart; `undefined` if it allows it. If it throws, the
   * command fails with that error.
   */
  refusal: (wanted: WantedRestart) => Promise<string | undefined>;
  /** Restarts the machine; the process is killed before this resolves. */
  restart: () => Promise<void>;
  /** How long after its answer a restart waits for the acknowledgement before it happens anyway. */
  restartAfterMs?: number;
  /**
   * The machine is not restarted although the agent has answered that it will be: a rule refuses since, or
   * the machine does. The control plane gets the reason afterwards.
   */
  onNotRestarted: (wanted: WantedRestart, error: unknown) => Promise<void>;
}

type WantedRestart = CommandInput<"reboot">;

interface WaitingRestart {
  timer: NodeJS.Timeout;
  restart: () => Promise<void>;
}

const RESTART_AFTER_MS = 20_000;

/**
 * Restarts the machine once the control plane has the answer that it is about to, so that the control plane
 * expects the silence afterwards.
 */
export class Restarter {
  readonly #options: RestarterOptions;
  readonly #waiting = new Map<string, WaitingRestart>();

  constructor(options: RestarterOptions) {
    this.#options = options;
  }

  readonly executor: Executor<"reboot"> = async (wanted, { commandId, signal, retract }) => {
    const { bootId } = wanted;
    // From an earlier boot: the restart has already happened.
    if (bootId !== undefined && bootId !== this.#options.bootId) return {};
    await this.#requireAllowed(wanted);
    // Cancelled in the meantime, when nothing was waiting yet.
    signal.throwIfAborted();
    const afterMs = this.#options.restartAfterMs ?? RESTART_AFTER_MS;
    const timer = setTimeout(() => this.acknowledged(commandId), afterMs);
    this.#waiting.set(commandId, { timer, restart: () => this.#restart(wanted, retract) });
    return {};
  };

  /** The control plane has the result of this command. */
  acknowledged(commandId: string): void {
    void this.#forget(commandId)?.restart();
  }

  /** The control plane has cancelled this restart. */
  cancelled(commandId: string): void {
    this.#forget(commandId);
  }

  /** Returns the restart if it was waiting. */
  #forget(commandId: string): WaitingRestart | undefined {
    const waiting = this.#waiting.get(commandId);
    clearTimeout(waiting?.timer);
    this.#waiting.delete(commandId);
    return waiting;
  }

  async #restart(wanted: WantedRestart, retract: ExecutionContext["retract"]): Promise<void> {
    try {
      // Seconds have passed since the answer, in which an update may have changed the boot loader.
      await this.#requireAllowed(wanted);
      await this.#options.restart();
    } catch (error) {
      await this.#options.onNotRestarted(wanted, error);
      await retract(error);
    }
  }

  async #requireAllowed(wanted: WantedRestart): Promise<void> {
    const why = await this.#options.refusal(wanted);
    if (why) throw new RestartRefusedError(wanted.conversionId, why);
  }
}
