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
  /** Milliseconds since 1970. This machine's clock, put right by what the cloud last told. */
  now: () => number;
  /** Asks the cloud what time it is, for `now`; says whether it told. Throws if it does not answer. */
  hearTime: () => Promise<boolean>;
}

export interface IncomingOptions {
  identity: Identity;
  cloud: CloudTime;
  /** Milliseconds that have passed since some moment, however this machine's clock was set meanwhile. */
  elapsedMs: () => number;
  log: Log;
  /** The control plane's, for this agent, and still good. */
  onMessage: (message: ToAgent) => void;
  /** The control plane's and for this agent, but not at this time. */
  onOutOfTime: (command: Command, problem: string) => void;
  /** The cloud has said what time it is. */
  onTime: () => void;
}

/** For a message that seems to be out of time, the cloud is asked at most once a minute. */
const ASK_AGAIN_MS = 60_000;
/** A clock that has moved by this much more or less than time has passed was set. */
const CLOCK_SET_MS = 60_000;

/**
 * What comes on the agent's topic, in its order: opens what the control plane signed for this agent, and
 * passes on what is still good. Everything else is logged and has no effect. The time is the cloud's, since
 * this machine's clock may be wrong: it is asked for after every connect, when the clock was set, and when a
 * message seems to be out of time.
 */
export class IncomingMessages {
  readonly #options: IncomingOptions;
  readonly #trust: Parameters<typeof openMessage>[1];
  #turn: Promise<void> = Promise.resolve();
  #asked: { nowMs: number; elapsedMs: number } | undefined;
  #closed = false;

  /** Throws if the identity holds no key that could have signed anything. */
  constructor(options: IncomingOptions) {
    const { agentId, commandKeyPem } = options.identity.enrolment;
    this.#options = options;
    this.#trust = { agentId, key: commandKeyOf(commandKeyPem) };
  }

  /** Before anything is received over a new connection. */
  connected(): void {
    this.#inTurn(() => this.#askTime());
  }

  /** `payload`: parsed JSON, from anybody who may publish on the topic. */
  receive(payload: unknown): void {
    const opened = openMessage(payload, this.#trust);
    // What is forged takes no turn, so a flood of it does not pile up.
    if ("problem" in opened) this.#options.log.warn("message refused", opened);
    else this.#inTurn(() => this.#take(opened));
  }

  /** Passes on nothing any more. */
  close(): void {
    this.#closed = true;
  }

  async #take(opened: OpenedMessage): Promise<void> {
    const { cloud, log, onMessage, onOutOfTime } = this.#options;
    if (this.#mustAskTime(opened)) await this.#askTime();
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
      const isTold = await cloud.hearTime();
      if (isTold && !this.#closed) onTime();
    } catch (error) {
      log.warn("the cloud does not tell the time", { error: String(error) });
    }
    this.#asked = { nowMs: cloud.now(), elapsedMs: elapsedMs() };
  }

  /** Also for a message that seems good: a clock that was set back would let a recorded one count again. */
  #mustAskTime(opened: OpenedMessage): boolean {
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
        this.#options.log.error("message not taken", { error: String(error) });
      }
    });
  }
}
