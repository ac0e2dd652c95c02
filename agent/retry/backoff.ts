const FIRST_MS = 500;
const MOST_MS = 30_000;

/**
 * How long to wait before the next attempt, after so many in a row have failed: doubles from half a second to half a minute, of which a
 * random half, so that agents cut off together do not come back together.
 */
export function reconnectDelayMs(failures: number, random: number): number {
  const ceiling = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
