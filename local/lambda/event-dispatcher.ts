import { AwsError } from "../core/aws-error.ts";
import type { Clock, Timer } from "../core/service.ts";
import type { Outcome } from "./environment.ts";
import type { EventQueue, QueuedEvent } from "./event-queue.ts";
import type { AsynchronousPolicy } from "./function-configuration.ts";
import type { LogSink } from "./log-sink.ts";

export interface DispatcherOptions {
  queue: EventQueue;
  clock: Clock;
  log: LogSink;
  /** Milliseconds between a failed attempt and the next one. */
  retryDelaysMs: readonly number[];
  maxRunning: number;
  /** Rejects with an `AwsError` if the function could not be started. */
  run(event: QueuedEvent): Promise<Outcome>;
  policyOf(functionArn: string): AsynchronousPolicy;
  concurrencyOf(functionArn: string): number;
}

const LONGEST_THROTTLE_DELAY_MS = 5 * 60_000;

/** Runs the events in the queue. Retries failed ones after the delays, then drops them. */
export class EventDispatcher {
  readonly #options: DispatcherOptions;
  readonly #running = new Map<string, QueuedEvent>();
  #timer: Timer | undefined;
  #started = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  start(): void {
    this.#started = true;
    this.dispatch();
  }

  stop(): void {
    this.#started = false;
    this.#timer?.cancel();
  }

  /** Runs due events that may run now, and sets the timer for later ones. */
  dispatch(): void {
    if (!this.#started) return;
    this.#timer?.cancel();
    const { queue, clock, maxRunning } = this.#options;
    while (this.#running.size < maxRunning) {
      const event = queue.next(clock.now(), this.#running.keys(), this.#fullFunctions());
      if (!event) break;
      this.#running.set(event.id, event);
      void this.#attempt(event);
    }
    if (this.#running.size >= maxRunning) return;
    const dueAt = queue.nextDueAt(this.#running.keys(), this.#fullFunctions());
    if (dueAt !== undefined) this.#timer = clock.schedule(dueAt - clock.now(), () => this.dispatch());
  }

  async #attempt(event: QueuedEvent): Promise<void> {
    let outcome: Outcome | undefined;
    try {
      outcome = await this.#options.run(event);
    } catch (error) {
      // After a stop, running events stay in the queue unchanged.
      if (this.#started) this.#notStarted(event, error);
    }
    if (outcome && this.#started) this.#ended(event, outcome);
    this.#running.delete(event.id);
    this.dispatch();
  }

  #ended(event: QueuedEvent, outcome: Outcome): void {
    if (!outcome.error) {
      this.#options.queue.remove(event.id);
      return;
    }
    const failures = event.failures + 1;
    const { maximumRetries } = this.#options.policyOf(event.functionArn);
    const delayMs = this.#options.retryDelaysMs[failures - 1];
    if (failures > maximumRetries || delayMs === undefined) {
      this.#lose(event, `it failed ${failures} times`, outcome.error);
    } else {
      this.#postpone(event, delayMs, failures, outcome.error);
    }
  }

  /**
   * The event was throttled, or the embedded cloud failed. That is not an attempt by the function, so the
   * event waits, with growing delays.
   */
  #notStarted(event: QueuedEvent, error: unknown): void {
    if (error instanceof AwsError && error.status < 500 && error.status !== 429) {
      this.#lose(event, "its function cannot be invoked", error.message);
      return;
    }
    const ageMs = this.#options.clock.now() - event.enqueuedAt;
    const delayMs = Math.min(LONGEST_THROTTLE_DELAY_MS, Math.max(1000, ageMs));
    this.#postpone(event, delayMs, event.failures, String(error));
  }

  #postpone(event: QueuedEvent, delayMs: number, failures: number, cause: unknown): void {
    const dueAt = this.#options.clock.now() + delayMs;
    const { maximumAgeSeconds } = this.#options.policyOf(event.functionArn);
    if (dueAt - event.enqueuedAt > maximumAgeSeconds * 1000) {
      this.#lose(event, `it is older than ${maximumAgeSeconds} s`, cause);
    } else {
      this.#options.queue.postpone(event.id, dueAt, failures);
    }
  }

  #lose(event: QueuedEvent, reason: string, cause: unknown): void {
    this.#options.queue.remove(event.id);
    const message = `asynchronous event lost: ${reason}`;
    this.#options.log.write(event.functionArn.replace(/^.*:/, ""), {
      level: "ERROR",
      requestId: event.id,
      message: { message, cause, event: event.payload.slice(0, 2048) },
    });
  }

  #fullFunctions(): string[] {
    const counts = new Map<string, number>();
    for (const { functionArn } of this.#running.values()) {
      counts.set(functionArn, (counts.get(functionArn) ?? 0) + 1);
    }
    return [...counts]
      .filter(([arn, count]) => count >= this.#options.concurrencyOf(arn))
      .map(([arn]) => arn);
  }
}
