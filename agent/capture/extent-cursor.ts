import type { Extent, Extents } from "#shared/domain/extents.ts";

/** Walks a set of extents along with a disk that is read from its start to its end: each step costs what it yields. */
export class ExtentCursor {
  readonly #set: Extents;
  #next = 0;

  constructor(set: Extents) {
    this.#set = set;
  }

  /** The parts of this stretch that are in the set. Calls must move forward. */
  within(offset: number, length: number): Extent[] {
    while (endsBefore(this.#set[this.#next], offset)) this.#next += 1;
    const parts: Extent[] = [];
    for (let at = this.#next; at < this.#set.length; at++) {
      const extent = this.#set[at];
      if (!extent || extent.offset >= offset + length) break;
      const start = Math.max(offset, extent.offset);
      parts.push({ offset: start, length: Math.min(offset + length, extent.offset + extent.length) - start });
    }
    return parts;
  }
}

function endsBefore(extent: Extent | undefined, offset: number): boolean {
  return extent !== undefined && extent.offset + extent.length <= offset;
}
