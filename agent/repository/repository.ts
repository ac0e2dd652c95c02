import type { BlobRef } from "#shared/format/map-node.ts";
import type { ObjectStore } from "../store/object-store.ts";

/** The objects of one source server, and their key. */
export interface Repository {
  sourceId: string;
  /** Not retried here: wrap a remote store in a `RetryingStore`. */
  store: ObjectStore;
  dataKey: Uint8Array;
}

/** Blobs of one pack that are read with one request. */
export interface Span<T> {
  offset: number;
  bytes: number;
  items: T[];
}

/**
 * Groups blobs of one pack into as few reads as possible: neighbours go together, and so do blobs with a gap
 * that is cheaper to read than another request. No span is longer than `maxBytes`, unless a single blob is.
 */
export function planSpans<T>(items: T[], refOf: (item: T) => BlobRef, maxBytes: number): Span<T>[] {
  const sorted = items.toSorted((a, b) => refOf(a).offset - refOf(b).offset);
  const spans: Span<T>[] = [];
  for (const item of sorted) {
    const { offset, sealedBytes } = refOf(item);
    const last = spans.at(-1);
    const end = offset + sealedBytes;
    if (last && offset - (last.offset + last.bytes) <= MAX_GAP_BYTES && end - last.offset <= maxBytes) {
      last.bytes = Math.max(last.bytes, end - last.offset);
      last.items.push(item);
    } else {
      spans.push({ offset, bytes: sealedBytes, items: [item] });
    }
  }
  return spans;
}
const MAX_GAP_BYTES = 128 * 1024;
