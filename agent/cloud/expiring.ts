/**
 * Anything that is used until this long before it expires is replaced in time for a request that takes a
 * while.
 */
const MARGIN_MS = 5 * 60_000;

/**
 * Remembers what `obtain` gave until shortly before it expires; callers at the same moment share one call. A
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
    // Until it is here nobody asks twice.
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
