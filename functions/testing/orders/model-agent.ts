import { CausewayError, CommandOutOfTimeError, CutoverStoppedError, failureOf } from "#shared/errors.ts";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import { MESSAGE_LIFETIME_MS } from "#shared/protocol/signed-message.ts";
import { commandKey } from "../site-commands.ts";

/** How an agent does one command. */
export interface Work {
  seconds: number;
  /** The name of the error with which it fails. */
  fails?: string | undefined;
  /** Whether it fails before it has its effect. */
  isVain?: boolean | undefined;
}

/** What an agent needs of the world around it. Time is virtual. */
export interface Surroundings {
  now(): number;
  /** Calls back after this time, unless it was killed since. */
  later(ms: number, run: () => Promise<void>): void;
  /** Into the network: whether and when it arrives is not the agent's to know. */
  publish(agentId: string, event: object): void;
  workOn(key: string): Work;
}

/** A real agent reports at once, too, which would only take the time of this test. */
const FIRST_REPORT_MS = 5_000;
/** Workflows miss an agent after 120 s. */
const REPORT_MS = 60_000;

/**
 * An agent as the control plane knows it: it does one command after another, each once, keeps its result, and
 * sends that again for a command that arrives again. A kill loses what it was doing, not what it has kept.
 */
export abstract class ModelAgent {
  readonly id: string;
  isAlive = true;
  /** Whether the network reaches it. */
  isLinked = true;
  protected readonly around: Surroundings;
  readonly #kept = new Map<string, object>();
  #waiting: Command[] = [];
  /** Counts its processes. */
  #process = 1;
  #isReporting = false;
  #abort: () => void = () => {};

  constructor(id: string, around: Surroundings) {
    this.id = id;
    this.around = around;
  }

  /**
   * Has the effect of a command and returns its output. Throws a `CausewayError` if it fails. One that takes
   * time stops once it `isGone`.
   */
  protected abstract carryOut(command: Command, isGone: () => boolean): Promise<object>;

  /** What it kept, it continues. */
  protected abstract resume(): void;

  /** The boot of the system that it runs in. */
  get bootId(): string {
    return "b";
  }

  get environment(): AgentSystem {
    return "original";
  }

  /** What it announced for this command is not wanted any more. */
  protected cancelled(_commandId: string): void {}

  take(message: ToAgent, sentAt: number): void {
    if (!this.isAlive) return;
    if (message.type === "cancel") this.#cancel(message.commandId);
    if (message.type !== "command") return;
    const { commandId, environment = "original" } = message;
    if (environment !== this.environment) return;
    const isWaiting = this.#waiting.some((one) => one.commandId === commandId);
    const kept = this.#kept.get(commandId);
    if (this.around.now() - sentAt >= MESSAGE_LIFETIME_MS) {
      if (!isWaiting && !kept) this.#say(failedEvent(commandId, new CommandOutOfTimeError("it expired")));
    } else if (kept) this.#say(kept);
    else if (!isWaiting) {
      this.#waiting.push(message);
      if (!this.#isReporting) this.#reportAfter(FIRST_REPORT_MS);
      if (this.#waiting.length === 1) this.after(0, () => this.#workOff());
    }
  }

  connect(): void {
    if (!this.isAlive || !this.isLinked) return;
    this.#say({ type: "agent-connected", agentVersion: "1", bootId: this.bootId });
  }

  kill(): void {
    this.isAlive = false;
    this.#process++;
    this.#isReporting = false;
    this.#waiting = [];
  }

  start(): void {
    if (this.isAlive) return;
    this.isAlive = true;
    this.resume();
    this.connect();
  }

  /** Calls back after this time, unless it is killed in between. */
  protected after(ms: number, work: () => Promise<void>): void {
    const process = this.#process;
    this.around.later(ms, async () => {
      if (process === this.#process) await work();
    });
  }

  /** Never resolves if it is killed in between. */
  protected sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, async () => resolve()));
  }

  async #workOff(): Promise<void> {
    for (let command = this.#waiting[0]; command; command = this.#waiting[0]) {
      const aborted = Promise.withResolvers<undefined>();
      this.#abort = () => aborted.resolve(undefined);
      const event = await Promise.race([this.#resultOf(command), aborted.promise]);
      if (!event) continue;
      this.#waiting.shift();
      this.#keep(command.commandId, event);
      this.#say(event);
    }
  }

  async #resultOf(command: Command): Promise<object | undefined> {
    const { commandId } = command;
    const isGone = () => this.#waiting[0] !== command;
    const key = commandKey(command);
    const { seconds, fails, isVain } = this.around.workOn(key);
    await this.sleep(seconds * 500);
    if (isGone()) return undefined;
    // Services that cannot be started again are a person's matter.
    if (fails !== undefined && isVain && key !== "set-fence down") return failedAs(commandId, fails);
    try {
      const output = await this.carryOut(command, isGone);
      await this.sleep(seconds * 500);
      if (fails === undefined) return { type: "command-succeeded", commandId, output };
      return failedAs(commandId, fails);
    } catch (error) {
      if (!(error instanceof CausewayError)) throw error;
      return failedEvent(commandId, error);
    }
  }

  #cancel(commandId: string): void {
    const isRunning = this.#waiting[0]?.commandId === commandId;
    this.#waiting = this.#waiting.filter((one) => one.commandId !== commandId);
    if (isRunning) this.#abort();
    this.cancelled(commandId);
    this.#keep(commandId, failedEvent(commandId, new CutoverStoppedError(commandId)));
  }

  /** The first outcome stays. */
  #keep(commandId: string, event: object): void {
    if (!this.#kept.has(commandId)) this.#kept.set(commandId, event);
  }

  #reportAfter(ms: number): void {
    this.#isReporting = true;
    this.after(ms, async () => {
      this.#isReporting = this.#waiting.length > 0;
      if (!this.#isReporting) return;
      for (const { commandId } of this.#waiting) this.#say({ type: "command-progressed", commandId });
      this.#reportAfter(REPORT_MS);
    });
  }

  #say(event: object): void {
    const at = new Date(this.around.now()).toISOString();
    const { environment } = this;
    if (this.isLinked) this.around.publish(this.id, { at, environment, ...event });
  }
}

function failedAs(commandId: string, name: string): object {
  const failure = { name, message: `it was ${name}`, hint: "See to it.", retryable: false };
  return { type: "command-failed", commandId, failure };
}

function failedEvent(commandId: string, error: CausewayError): object {
  return { type: "command-failed", commandId, failure: failureOf(error) };
}
