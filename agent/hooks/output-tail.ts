import { printable } from "./printable.ts";

const UTF8_CONTINUATION = 0b1000_0000;

/** The last bytes of a stream. Its memory does not grow with the stream. */
export class OutputTail {
  readonly #bytes: Buffer;
  #length = 0;
  #isCut = false;

  constructor(limitBytes: number) {
    this.#bytes = Buffer.alloc(limitBytes);
  }

  add(chunk: Buffer): void {
    const limit = this.#bytes.length;
    const added = chunk.subarray(Math.max(0, chunk.length - limit));
    const kept = Math.min(this.#length, limit - added.length);
    this.#isCut ||= kept < this.#length || added.length < chunk.length;
    this.#bytes.copyWithin(0, this.#length - kept, this.#length);
    added.copy(this.#bytes, kept);
    this.#length = kept + added.length;
  }

  /** As printable text: see `printable`. Begins with an ellipsis if earlier output is missing. */
  text(): string {
    let start = 0;
    // The cut may be in the middle of a character.
    while (this.#isCut && start < 3 && ((this.#bytes[start] ?? 0) & 0b1100_0000) === UTF8_CONTINUATION)
      start++;
    const text = printable(this.#bytes.toString("utf8", Math.min(start, this.#length), this.#length));
    return this.#isCut ? `…${text}` : text;
  }
}
