/** A stretch of a disk. */
export interface ByteRange {
  offset: number;
  bytes: number;
}

/** Ranges in order, without overlaps; neighbours joined. */
export function normalizeRanges(ranges: readonly ByteRange[], sizeBytes: number): ByteRange[] {
  const joined: ByteRange[] = [];
  for (const { offset, bytes } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const end = Math.min(offset + bytes, sizeBytes);
    if (offset < 0 || end <= offset) continue;
    const last = joined.at(-1);
    if (last && offset <= last.offset + last.bytes) last.bytes = Math.max(last.bytes, end - last.offset);
    else joined.push({ offset, bytes: end - offset });
  }
  return joined;
}

/** Walks normalized ranges along with a disk that is read from its start to its end. */
export class RangeCursor {
  readonly #ranges: ByteRange[];
  #next = 0;

  constructor(ranges: ByteRange[]) {
    this.#ranges = ranges;
  }

  /** The parts of this stretch that lie in the ranges. Calls must move forward. */
  within(offset: number, bytes: number): ByteRange[] {
    const end = offset + bytes;
    while (this.#isBefore(this.#next, offset)) this.#next += 1;
    const parts: ByteRange[] = [];
    for (let at = this.#next; at < this.#ranges.length; at++) {
      const range = this.#ranges[at];
      if (!range || range.offset >= end) break;
      const from = Math.max(offset, range.offset);
      parts.push({ offset: from, bytes: Math.min(end, range.offset + range.bytes) - from });
    }
    return parts;
  }

  #isBefore(at: number, offset: number): boolean {
    const range = this.#ranges[at];
    return range !== undefined && range.offset + range.bytes <= offset;
  }
}

export function totalBytes(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { bytes }) => sum + bytes, 0);
}
