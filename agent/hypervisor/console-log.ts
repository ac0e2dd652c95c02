/** The beginning and the end of a text of any length, in bounded memory. One character is one byte. */
export class ConsoleLog {
  readonly #keepBytes: number;
  #first = "";
  #last = "";
  #total = 0;

  /** `keepBytes`: how much of the beginning is kept, and how much of the end. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  append(text: string): void {
    this.#total += text.length;
    const room = this.#keepBytes - this.#first.length;
    this.#first += text.slice(0, room);
    this.#last += text.slice(room);
    // Cut only now and then: cutting on each append would copy all of it for each character.
    if (this.#last.length > 2 * this.#keepBytes) this.#last = this.#last.slice(-this.#keepBytes);
  }

  /** What was kept, with a line in place of what was not. */
  bytes(): Buffer {
    const last = this.#last.slice(-this.#keepBytes);
    const omitted = this.#total - this.#first.length - last.length;
    const gap = omitted > 0 ? `\r\n[${omitted} bytes are left out here]\r\n` : "";
    return Buffer.from(this.#first + gap + last, "latin1");
  }
}
