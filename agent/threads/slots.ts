import { Semaphore } from "./semaphore.ts";

/**
 * Numbered slots of memory that worker threads share, and how many tasks each worker has. A slot is taken,
 * filled, assigned to a worker, and free again when the worker is done with it.
 */
export class Slots {
  readonly #slots: number;
  readonly #free: Semaphore<number>;
  readonly #tasks: number[];

  constructor({ slots, workers }: { slots: number; workers: number }) {
    this.#slots = slots;
    this.#free = new Semaphore(Array.from({ length: slots }, (_, slot) => slot));
    this.#tasks = new Array(workers).fill(0);
  }

  /** A slot that is free, once there is one. */
  take(): Promise<number> {
    return this.#free.take();
  }

  /** The worker with the fewest tasks, of the first `workers` or of all, which has one more now. */
  assign(workers: number = this.#tasks.length): number {
    const tasks = this.#tasks.slice(0, workers);
    const worker = tasks.indexOf(Math.min(...tasks));
    this.#tasks[worker] = (this.#tasks[worker] ?? 0) + 1;
    return worker;
  }

  /** A worker has done one of its tasks. Its slot is not free yet. */
  done(worker: number): void {
    this.#tasks[worker] = (this.#tasks[worker] ?? 0) - 1;
  }

  give(slot: number): void {
    this.#free.give(slot);
  }

  /** Resolves once all slots are free, so that the workers have nothing left to do. Takes them all. */
  async takeAll(): Promise<void> {
    for (let slot = 0; slot < this.#slots; slot++) await this.#free.take();
  }
}
