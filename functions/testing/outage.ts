/** Makes the next call of a name fail, like a crash or an outage. */
export class Outage {
  #next = new Set<string>();

  /** The next call of this name throws. */
  strike(call: string): void {
    this.#next.add(call);
  }

  check(call: string): void {
    if (this.#next.delete(call)) throw new Error(`outage of ${call}`);
  }
}
