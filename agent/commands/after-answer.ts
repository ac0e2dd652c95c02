/** How long after its answer a command waits for the acknowledgement before it acts anyway. */
const ACT_AFTER_MS = 20_000;

interface Waiting {
  timer: NodeJS.Timeout;
  act: () => Promise<void>;
}

/**
 * What commands do after their answer, because the agent can say no more afterwards: restart the machine, or
 * switch it off. It happens once the control plane has the answer, and therefore expects the silence.
 */
export class AfterAnswer {
  readonly #afterMs: number;
  readonly #waiting = new Map<string, Waiting>();

  constructor(afterMs = ACT_AFTER_MS) {
    this.#afterMs = afterMs;
  }

  /** `act` must not reject. It replaces what was planned for this command. */
  plan(commandId: string, act: () => Promise<void>): void {
    this.#forget(commandId);
    const timer = setTimeout(() => this.acknowledged(commandId), this.#afterMs);
    this.#waiting.set(commandId, { timer, act });
  }

  /** The control plane has the result of this command. */
  acknowledged(commandId: string): void {
    void this.#forget(commandId)?.act();
  }

  /** The control plane has cancelled this command. */
  cancelled(commandId: string): void {
    this.#forget(commandId);
  }

  /** Returns what was waiting. */
  #forget(commandId: string): Waiting | undefined {
    const waiting = this.#waiting.get(commandId);
    clearTimeout(waiting?.timer);
    this.#waiting.delete(commandId);
    return waiting;
  }
}
