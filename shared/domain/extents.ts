/**
 * Sets of byte ranges of a disk. A set is a sorted list of extents that are not empty and neither overlap
 * nor touch. Every function here takes and returns such sets, except that `normalize` takes any extents.
 */

/** `length` bytes starting at `offset`. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export type Extents = readonly Extent[];

/** The set of all bytes in these extents, which may overlap and be in any order. */
export function normalize(extents: Iterable<Extent>): Extent[] {
  const sorted = [...extents].filter((extent) => extent.length > 0).sort((a, b) => a.offset - b.offset);
  const set: Extent[] = [];
  for (const extent of sorted) appendExtent(set, extent.offset, extent.length);
  return set;
}

/** Adds an extent that starts no earlier than the set's last one. */
export function appendExtent(set: Extent[], offset: number, length: number): void {
  if (length <= 0) return;
  const last = set.at(-1);
  if (last && offset <= last.offset + last.length) {
    const end = Math.max(last.offset + last.length, offset + length);
    set[set.length - 1] = { offset: last.offset, length: end - last.offset };
  } else {
    set.push({ offset, length });
  }
}

/** The bytes in both sets. */
export function intersect(a: Extents, b: Extents): Extent[] {
  const set: Extent[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const left = a[i];
    const right = b[j];
    if (!left || !right) return set;
    const start = Math.max(left.offset, right.offset);
    const end = Math.min(endOf(left), endOf(right));
    appendExtent(set, start, end - start);
    if (endOf(left) < endOf(right)) i++;
    else j++;
  }
}

/** The bytes in `a` that are not in `b`. */
export function subtract(a: Extents, b: Extents): Extent[] {
  const set: Extent[] = [];
  let j = 0;
  for (const extent of a) {
    let start = extent.offset;
    for (let hole = b[j]; hole && hole.offset < endOf(extent); hole = b[++j]) {
      appendExtent(set, start, hole.offset - start);
      start = Math.max(start, endOf(hole));
      // A hole that reaches beyond this extent can cut the next one too.
      if (endOf(hole) > endOf(extent)) break;
    }
    appendExtent(set, start, endOf(extent) - start);
  }
  return set;
}

/** How many bytes are in the set. */
export function totalBytes(set: Extents): number {
  return set.reduce((total, extent) => total + extent.length, 0);
}

function endOf(extent: Extent): number {
  return extent.offset + extent.length;
}
