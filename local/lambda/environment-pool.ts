import { AwsError } from "../core/aws-error.ts";
import type { Clock, Timer } from "../core/service.ts";
import type { Environment } from "./environment.ts";
import type { FunctionConfiguration } from "./function-configuration.ts";

export interface PoolOptions {
  clock: Clock;
  create(configuration: FunctionConfiguration): Environment;
  /** Environments of one function without reserved concurrency. */
  maxPerFunction: number;
  /** Environments of all functions together: this bounds the memory. */
  maxTotal: number;
  /** The pool ends an environment that has been idle for this long. */
  idleMs: number;
  /**
   * How long a call waits for an environment once this machine's limits are reached. A call over the
   * template's limits is refused at once.
   */
  patienceMs: number;
}

interface Waiter {
  configuration: FunctionConfiguration;
  resolve: (environment: Environment) => void;
  reject: (error: unknown) => void;
  timer: Timer;
}

/** Lends execution environments within the limits: a warm one if available, otherwise a new one. */
export class EnvironmentPool {
  readonly #options: PoolOptions;
  readonly #busy = new Set<Environment>();
  /** Least recently used first. */
  readonly #idle = new Map<Environment, Timer>();
  #waiters: Waiter[] = [];
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /**
   * The caller returns it with `release`. Rejects with `TooManyRequestsException` if no environment becomes
   * free.
   */
  async acquire(configuration: FunctionConfiguration): Promise<Environment> {
    const { reservedConcurrency } = configuration;
    if (reservedConcurrency !== undefined && this.#running(configuration) >= reservedConcurrency) {
      throw tooManyRequests();
    }
    const environment = this.#waiters.length === 0 ? this.#take(configuration) : undefined;
    return environment ?? this.#wait(configuration);
  }

  release(environment: Environment): void {
    this.#busy.delete(environment);
    if (this.#isUsable(environment)) {
      const timer = this.#options.clock.schedule(this.#options.idleMs, () => this.#discard(environment));
      this.#idle.set(environment, timer);
    } else {
      void environment.end();
    }
    this.#serveWaiters();
  }

  /** Ends the environments of a function whose code or configuration has changed. */
  retire(functionArn: string): void {
    for (const environment of this.#idle.keys()) {
      if (environment.configuration.arn === functionArn) this.#discard(environment);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#waiters) {
      waiter.timer.cancel();
      waiter.reject(new AwsError("ServiceException", "Lambda is shutting down", 500));
    }
    this.#waiters = [];
    for (const timer of this.#idle.values()) timer.cancel();
    await Promise.all([...this.#busy, ...this.#idle.keys()].map((environment) => environment.end()));
    this.#idle.clear();
  }

  #wait(configuration: FunctionConfiguration): Promise<Environment> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.schedule(this.#options.patienceMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(tooManyRequests());
      });
      const waiter: Waiter = { configuration, resolve, reject, timer };
      this.#waiters.push(waiter);
      this.#serveWaiters();
    });
  }

  #serveWaiters(): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      let environment: Environment | undefined;
      try {
        environment = this.#take(waiter.configuration);
      } catch (error) {
        waiter.timer.cancel();
        waiter.reject(error);
        return false;
      }
      if (!environment) return true;
      waiter.timer.cancel();
      waiter.resolve(environment);
      return false;
    });
  }

  #take(configuration: FunctionConfiguration): Environment | undefined {
    if (this.#closed) throw new AwsError("ServiceException", "Lambda is shutting down", 500);
    const environment = this.#takeIdle(configuration) ?? this.#create(configuration);
    if (environment) this.#busy.add(environment);
    return environment;
  }

  #takeIdle(configuration: FunctionConfiguration): Environment | undefined {
    // Lend the most recently used one, so that the others stay idle until they are ended.
    for (const environment of [...this.#idle.keys()].reverse()) {
      if (environment.configuration !== configuration) continue;
      if (!this.#isUsable(environment)) {
        this.#discard(environment);
        continue;
      }
      this.#idle.get(environment)?.cancel();
      this.#idle.delete(environment);
      return environment;
    }
    return undefined;
  }

  #create(configuration: FunctionConfiguration): Environment | undefined {
    const limit = configuration.reservedConcurrency ?? this.#options.maxPerFunction;
    if (this.#running(configuration) >= limit) return undefined;
    if (this.#busy.size + this.#idle.size >= this.#options.maxTotal) {
      const leastRecentlyUsed = this.#idle.keys().next().value;
      if (!leastRecentlyUsed) return undefined;
      this.#discard(leastRecentlyUsed);
    }
    return this.#options.create(configuration);
  }

  #running(configuration: FunctionConfiguration): number {
    let count = 0;
    for (const environment of this.#busy) if (environment.configuration.arn === configuration.arn) count++;
    return count;
  }

  #isUsable(environment: Environment): boolean {
    return !environment.isDead && environment.usableUntil > this.#options.clock.now();
  }

  #discard(environment: Environment): void {
    this.#idle.get(environment)?.cancel();
    this.#idle.delete(environment);
    void environment.end();
  }
}

function tooManyRequests(): AwsError {
  return new AwsError("TooManyRequestsException", "Rate Exceeded.", 429);
}
