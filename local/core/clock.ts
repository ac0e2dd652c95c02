import type { Clock, Timer } from "./service.ts";

/** The machine's own time. The only place in `local/` that reads it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delayMs, run) {
    // A Node timer above 2^31-1 ms overflows and fires at once, so a longer delay uses several timers.
    const due = Date.now() + delayMs;
    let timer: NodeJS.Timeout;
    let turn: NodeJS.Immediate | undefined;
    // Handle data that arrived in time first: after a slow disk has blocked this process, timers would run
    // before pending reads.
    const ring = (): void => {
      turn = setImmediate(run);
    };
    const arm = (): void => {
      const left = due - Date.now();
      timer = left > MAX_TIMER_MS ? setTimeout(arm, MAX_TIMER_MS) : setTimeout(ring, Math.max(0, left));
    };
    arm();
    return {
      cancel: () => {
        clearTimeout(timer);
        clearImmediate(turn);
      },
    };
  },
};
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A clock that a test advances. Due timers fire in order as it advances. */
export class ManualClock implements Clock {
  #now: number;
  #due: { at: number; run: () => void }[] = [];

  constructor(start = Date.UTC(2030, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** When the next timer fires; `Infinity` if there is none. */
  get nextDue(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#due.map(({ at }) => at));
  }

  schedule(delayMs: number, run: () => void): Timer {
    const entry = { at: this.#now + Math.max(0, delayMs), run };
    this.#due.push(entry);
    return {
      cancel: () => {
        this.#due = this.#due.filter((other) => other !== entry);
      },
    };
  }

  /** Advances the time. After each timer that fires, it lets promises settle. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const next = this.#due.filter((entry) => entry.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#due = this.#due.filter((entry) => entry !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
