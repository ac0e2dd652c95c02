/** A set of names of one length in bytes; as small as a set of strings can be. */
export class NameSet {
  readonly #bytes: number;
  readonly #names = new Set<string>();

  constructor(bytes: number, all: Buffer = Buffer.alloc(0)) {
    if (all.length % bytes !== 0) throw new RangeError(`names of ${bytes} bytes do not make ${all.length}`);
    this.#bytes = bytes;
    for (let at = 0; at < all.length; at += bytes) this.add(all.subarray(at, at + bytes));
  }

  get size(): number {
    return this.#names.size;
  }

  /** Returns whether it is new. */
  add(name: Buffer): boolean {
    if (name.length !== this.#bytes) throw new RangeError(`a name has ${this.#bytes} bytes`);
    const before = this.#names.size;
    this.#names.add(name.toString("latin1"));
    return this.#names.size > before;
  }

  has(name: Buffer): boolean {
    return this.#names.has(name.toString("latin1"));
  }

  /** All names, one after another. */
  toBuffer(): Buffer {
    return Buffer.from([...this.#names].join(""), "latin1");
  }

  /** As hex digits. */
  *[Symbol.iterator](): Iterator<string> {
    for (const name of this.#names) yield Buffer.from(name, "latin1").toString("hex");
  }
}
