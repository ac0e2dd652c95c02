import { createHash } from "node:crypto";

/** Numbers that are the same for the same seed. */
export class Randomness {
  readonly #seed: string;
  #drawn = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** At least 0, less than 1. */
  next(): number {
    this.#drawn += 1;
    const digest = createHash("sha256").update(`${this.#seed} ${this.#drawn}`).digest();
    return digest.readUInt32LE(0) / 2 ** 32;
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }
}
