/** Hands out a fixed set of things, each to one holder at a time, in the order of requests. */
export class Semaphore<T> {
  readonly #free: T[];
  readonly #waiting: ((thing: T) => void)[] = [];

  constructor(things: T[]) {
    this.#free = [...things];
  }

  take(): Promise<T> {
    const thing = this.#free.shift();
    if (thing !== undefined) return Promise.resolve(thing);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(thing: T): void {
    const next = this.#waiting.shift();
    if (next) next(thing);
    else this.#free.push(thing);
  }
}
