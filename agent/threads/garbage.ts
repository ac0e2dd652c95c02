import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** How much garbage a thread may leave uncollected. */
export const GARBAGE_BYTES: number = 2 * 1024 * 1024;

type Collect = (options: { type: "minor" | "major" }) => void;

/**
 * The collector can only be called with a flag, which a lean process is started with. A Node without it still
 * works, with more memory.
 */
function collector(): Collect | undefined {
  if (globalThis.gc) return globalThis.gc as Collect;
  setFlagsFromString("--expose-gc");
  return runInNewContext("typeof gc === 'function' ? gc : undefined") as Collect | undefined;
}

/**
 * Frees what the caller is about to drop, such as the memory that threads shared: tens of MiB outside of the
 * JavaScript heap, which would otherwise still be allocated when the next piece of work allocates its own.
 */
export function collectSoon(): void {
  const collect = collector();
  setImmediate(() => collect?.({ type: "major" }));
}

/**
 * Keeps short-lived buffers from piling up. Each cipher call allocates one outside of the JavaScript heap,
 * and V8 waits for some 64 MiB of them per thread before it collects. Collecting the youngest after every few
 * MiB costs well under a millisecond and keeps a thread small.
 */
export class GarbageLimit {
  readonly #limitBytes: number;
  readonly #collect: Collect | undefined;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.#collect = collector();
  }

  /** Counts bytes of buffers that are now garbage. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < this.#limitBytes) return;
    this.#bytes = 0;
    this.#collect?.({ type: "minor" });
  }
}
