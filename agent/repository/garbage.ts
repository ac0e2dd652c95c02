import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a thread may leave lying about. */
export const GARBAGE_BYTES: number = 2 * 1024 * 1024;

type Collect = (options: { type: "minor" }) => void;

/**
 * Keeps short-lived buffers from piling up. Each cipher call allocates one outside of the JavaScript heap, and V8 waits for some 64 MiB of
 * them per thread before it looks; collecting the youngest after every few MiB costs well under a millisecond and keeps a thread small.
 */
export class GarbageLimit {
  readonly #limitBytes: number;
  readonly #collect: Collect | undefined;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    // The collector can be called only after this flag; a Node without it still works, in more memory.
    setFlagsFromString("--expose-gc");
    this.#collect = runInNewContext("typeof gc === 'function' ? gc : undefined") as Collect | undefined;
  }

  /** Counts bytes of buffers that are garbage by now. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < this.#limitBytes) return;
    this.#bytes = 0;
    this.#collect?.({ type: "minor" });
  }
}
