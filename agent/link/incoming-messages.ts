import type { Log } from "#shared/log.ts";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import {
  commandKeyOf,
  type OpenedMessage,
  openMessage,
  timeProblem,
} from "#shared/protocol/message-signature.ts";
import type { Identity } from "../identity/identity.ts";

/** The cloud's time, as far as this agent knows it. */
export interface CloudTime {
  /** Milliseconds since 1970: this machine's clock, corrected by the time the cloud last gave. */
  now: () => number;
  /**
   * Asks the cloud for the time, which `now` then uses; resolves with whether the answer had one. Rejects if
   * the cloud does not answer.
   */
  askTime: () => Promise<boolean>;
}

export interface IncomingOptions {
  identity: Identity;
  cloud: CloudTime;
  /** Milliseconds since some fixed moment; must not change when the machine's clock is set. */
  elapsedMs: () => number;
  log: Log;
  /** Gets each message that the control plane signed for this agent and that has not expired. */
  onMessage: (message: ToAgent) => void;
  /**
   * Gets each command that the control plane signed for this agent, but that has expired or is not valid yet.
   */
  onOutOfTime: (command: Command, problem: string) => void;
  /** The cloud has just given the time. */
  onTime: () => void;
}

/** The cloud is asked at most once a minute because of messages that seem out of time. */
const ASK_AGAIN_MS = 60_000;
/** If the clock and the elapsed time differ by more than this, the clock was set. */
const CLOCK_SET_MS = 60_000;

/**
 * Takes what arrives on the agent's topic, in order: opens what the control plane signed for this agent, and
 * passes on what has not expired. Everything else is logged and has no effect. It goes by the cloud's time,
 * because this machine's clock may be wrong. It asks for the time after every connect, when the clock was
 * set, and when a message seems out of time.
 */
export class IncomingMessages {
  readonly #options: IncomingOptions;
  readonly #trust: Parameters<typeof openMessage>[1];
  #turn: Promise<void> = Promise.resolve();
  #asked: { nowMs: number; elapsedMs: number } | undefined;
  #closed = false;

  /** Throws if the identity's key cannot have signed anything. */
  constructor(options: IncomingOptions) {
    const { agentId, commandKeyPem } = options.identity.enrolment;
    this.#options = options;
    this.#trust = { agentId, key: commandKeyOf(commandKeyPem) };
  }

  /** Call before any message of a new connection. */
  connected(): void {
    this.#inTurn(() => this.#askTime());
  }

  /** `payload`: parsed JSON, from anyone who may publish on the topic. */
  receive(payload: unknown): void {
    const opened = openMessage(payload, this.#trust);
    // Forged messages do not enter the queue, so a flood of them cannot fill it.
    if ("problem" in opened) this.#options.log.warn("message refused", opened);
    else this.#inTurn(() => this.#take(opened));
  }

  /** Stops passing on messages. */
  close(): void {
    this.#closed = true;
  }

  async #take(opened: OpenedMessage): Promise<void> {
    const { cloud, log, onMessage, onOutOfTime } = this.#options;
    if (this.#needsTime(opened)) await this.#askTime();
    if (this.#closed) return;
    const { message } = opened;
    const problem = timeProblem(opened, cloud.now());
    if (!problem) return onMessage(message);
    const { type, commandId } = message;
    const here = new Date(cloud.now()).toISOString();
    log.warn("message refused", { problem, here, type, commandId });
    if (message.type === "command") onOutOfTime(message, problem);
  }

  async #askTime(): Promise<void> {
    const { cloud, elapsedMs, log, onTime } = this.#options;
    try {
      const hasTime = await cloud.askTime();
      if (hasTime && !this.#closed) onTime();
    } catch (error) {
      log.warn("could not get the cloud's time", { error: String(error) });
    }
    this.#asked = { nowMs: cloud.now(), elapsedMs: elapsedMs() };
  }

  /**
   * Asks even for a message that seems valid: on a clock that was set back, a recorded one would be accepted
   * again.
   */
  #needsTime(opened: OpenedMessage): boolean {
    if (!this.#asked) return true;
    const { cloud, elapsedMs } = this.#options;
    const passedMs = elapsedMs() - this.#asked.elapsedMs;
    const movedMs = cloud.now() - this.#asked.nowMs;
    if (Math.abs(movedMs - passedMs) > CLOCK_SET_MS) return true;
    return passedMs >= ASK_AGAIN_MS && timeProblem(opened, cloud.now()) !== undefined;
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#closed) return;
      try {
        await work();
      } catch (error) {
        this.#options.log.error("could not handle a message", { error: String(error) });
      }
    });
  }
}
