import { RestartRefusedError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { Executor } from "../commands/executor.ts";

export interface RestarterOptions {
  /** The boot that this process runs in. */
  bootId: string;
  /**
   * Why the agent, from its own records, refuses this restart; `undefined` if it allows it. If it throws, the
   * command fails with that error.
   */
  refusal: (wanted: CommandInput<"reboot">) => Promise<string | undefined>;
  /** Restarts the machine; the process is killed before this resolves. */
  restart: () => Promise<void>;
  /** How long after its answer a restart waits for the acknowledgement before it happens anyway. */
  restartAfterMs?: number;
  onError: (error: unknown) => void;
}

const RESTART_AFTER_MS = 20_000;

/**
 * Restarts the machine once the control plane has the answer that it is about to, so that the control plane
 * expects the silence afterwards.
 */
export class Restarter {
  readonly #options: RestarterOptions;
  readonly #waiting = new Map<string, NodeJS.Timeout>();

  constructor(options: RestarterOptions) {
    this.#options = options;
  }

  readonly executor: Executor<"reboot"> = async (wanted, { commandId, signal }) => {
    const { bootId, conversionId } = wanted;
    // From an earlier boot: the restart has already happened.
    if (bootId !== undefined && bootId !== this.#options.bootId) return {};
    const why = await this.#options.refusal(wanted);
    if (why) throw new RestartRefusedError(conversionId, why);
    // Cancelled in the meantime, when nothing was waiting yet.
    signal.throwIfAborted();
    this.#waiting.set(
      commandId,
      setTimeout(() => this.#restart(), this.#options.restartAfterMs ?? RESTART_AFTER_MS),
    );
    return {};
  };

  /** The control plane has the result of this command. */
  acknowledged(commandId: string): void {
    if (this.#forget(commandId)) this.#restart();
  }

  /** The control plane has cancelled this restart. */
  cancelled(commandId: string): void {
    this.#forget(commandId);
  }

  /** Returns whether the command was waiting. */
  #forget(commandId: string): boolean {
    clearTimeout(this.#waiting.get(commandId));
    return this.#waiting.delete(commandId);
  }

  #restart(): void {
    this.#options.restart().catch(this.#options.onError);
  }
}
