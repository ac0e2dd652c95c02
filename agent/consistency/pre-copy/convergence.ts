/** So little is left that a freeze is short: a slow disk reads it in a quarter of a second. */
const LITTLE_BYTES = 16 * 2 ** 20;
/** Each pass takes as long as what the pass before left. One that leaves more than this does not help. */
const SHRINKS_TO = 0.7;
const MOST_PASSES = 12;

/**
 * Whether to freeze after a pass that read `bytes`, which had changed during the pass before; `before`: what
 * that one had read, `undefined` for the first copy.
 */
export function isTimeToFreeze(pass: { number: number; bytes: number; before: number | undefined }): boolean {
  const { number, bytes, before } = pass;
  if (bytes <= LITTLE_BYTES || number >= MOST_PASSES) return true;
  return before !== undefined && bytes > before * SHRINKS_TO;
}
