import { RestartRefusedError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { Executor } from "../commands/executor.ts";

export interface RestarterOptions {
  /** The boot that this process runs in. */
  bootId: string;
  /**
   * Why the agent, by what it knows itself, does not restart this machine so; `undefined` if it may. It may
   * throw, too: then the command fails with that.
   */
  objection: (wanted: CommandInput<"reboot">) => Promise<string | undefined>;
  /** Restarts the machine; does not return in time to matter. */
  restart: () => Promise<void>;
  /** How long after its answer a restart waits for the acknowledgement: then it happens all the same. */
  patienceMs?: number;
  onError: (error: unknown) => void;
}

const PATIENCE_MS = 20_000;

/**
 * Restarts the machine when the control plane has the answer that it is about to, so that the silence
 * afterwards is understood.
 */
export class Restarter {
  readonly #options: RestarterOptions;
  readonly #waiting = new Map<string, NodeJS.Timeout>();

  constructor(options: RestarterOptions) {
    this.#options = options;
  }

  readonly executor: Executor<"reboot"> = async (wanted, { commandId, signal }) => {
    const { bootId, conversionId } = wanted;
    // Asked out of another boot, it has happened already.
    if (bootId !== undefined && bootId !== this.#options.bootId) return {};
    const why = await this.#options.objection(wanted);
    if (why) throw new RestartRefusedError(conversionId, why);
    // Cancelled in the meantime, when nothing was waiting yet.
    signal.throwIfAborted();
    this.#waiting.set(
      commandId,
      setTimeout(() => this.#restart(), this.#options.patienceMs ?? PATIENCE_MS),
    );
    return {};
  };

  /** The control plane has the result of this command. */
  acknowledged(commandId: string): void {
    if (this.#forget(commandId)) this.#restart();
  }

  /** The control plane has called this restart off. */
  cancelled(commandId: string): void {
    this.#forget(commandId);
  }

  /** Says whether the command was waiting. */
  #forget(commandId: string): boolean {
    clearTimeout(this.#waiting.get(commandId));
    return this.#waiting.delete(commandId);
  }

  #restart(): void {
    this.#options.restart().catch(this.#options.onError);
  }
}
