/** A client that asks for an answer all the time, and knows for how long there was none. */
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { until } from "./until.ts";

const PAUSE_MS = 100;
const PATIENCE_MS = 2000;

interface Answer {
  /** Milliseconds, monotonic. */
  at: number;
  from: string;
  /** The number of the last write that the one who answers has. */
  count: number;
}

/** Asks for `SOMEONE NUMBER` by HTTP ten times a second, whether or not the answer before has come. */
export class OutageClient implements AsyncDisposable {
  readonly #url: string;
  readonly #ended = new AbortController();
  readonly #asking: Promise<void>;
  readonly #last = new Map<string, Answer>();
  readonly #first = new Map<string, Answer>();
  readonly #turns: string[] = [];

  constructor(url: string) {
    this.#url = url;
    this.#asking = this.#ask();
  }

  /** Waits for the first answer of this one. */
  answerOf(from: string): Promise<Answer> {
    return until(`an answer of the ${from}`, () => this.#first.get(from), 60);
  }

  /** Waits for another answer of this one. */
  async nextAnswerOf(from: string): Promise<Answer> {
    const known = this.#last.get(from)?.at ?? 0;
    const newer = () => {
      const last = this.#last.get(from);
      return last && last.at > known ? last : undefined;
    };
    return until(`another answer of the ${from}`, newer, 180);
  }

  /** The last write that anyone has acknowledged. */
  get acknowledged(): number {
    return Math.max(0, ...[...this.#last.values()].map(({ count }) => count));
  }

  /** Who has answered after whom until now. */
  get turns(): readonly string[] {
    return [...this.#turns];
  }

  /** From the last answer of one to the first answer of the other, in seconds. */
  async outage(from: string, to: string): Promise<{ seconds: number; isNothingLost: boolean }> {
    const first = await this.answerOf(to);
    const last = this.#last.get(from);
    if (!last) throw new Error(`the ${from} never answered`);
    return { seconds: (first.at - last.at) / 1000, isNothingLost: first.count >= last.count };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { signal } = this.#ended;
    const asked = new Set<Promise<void>>();
    while (!signal.aborted) {
      const one = this.#askOnce().finally(() => asked.delete(one));
      asked.add(one);
      await wait(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
    await Promise.all(asked);
  }

  async #askOnce(): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(PATIENCE_MS)]);
      const [from = "", count] = (await answerOf(this.#url, signal)).trim().split(/\s+/);
      const answer = { at: performance.now(), from, count: Number(count) };
      this.#last.set(from, answer);
      if (!this.#first.has(from)) this.#first.set(from, answer);
      if (this.#turns.at(-1) !== from) this.#turns.push(from);
    } catch {
      // No answer: that is what is measured.
    }
  }
}

/** By a connection of its own. */
async function answerOf(url: string, signal: AbortSignal): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { agent: false, signal }, resolve).on("error", reject);
  });
  return text(response);
}
