/** Anything that expires sooner than this is replaced, so that a slow request still finishes in time. */
const MARGIN_MS = 5 * 60_000;

/**
 * Remembers what `obtain` returned until shortly before it expires; concurrent callers share one call. A
 * failure is not remembered.
 */
export function cachedUntilExpiry<T>(
  obtain: () => Promise<T>,
  expiryOf: (value: T) => number,
  now: () => number,
): () => Promise<T> {
  let current: Promise<T> | undefined;
  let goodUntil = Number.NEGATIVE_INFINITY;
  return () => {
    if (current && now() < goodUntil) return current;
    const fresh = obtain();
    current = fresh;
    // Until it resolves, callers share it.
    goodUntil = Number.POSITIVE_INFINITY;
    fresh.then(
      (value) => {
        goodUntil = expiryOf(value) - MARGIN_MS;
      },
      () => {
        current = undefined;
      },
    );
    return fresh;
  };
}
