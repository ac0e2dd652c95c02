/** When a cutover that has begun is looked at again. Times are milliseconds since 1970. */

const LOOK_AGAIN_MS = 300_000;

/** Of one that is being ended, or needs its workflow only. */
export function nextLook(now: number): number {
  return now + LOOK_AGAIN_MS;
}

/** Of one that is under way: at its deadline, and before that, because its workflow could be stopped. */
export function nextLookBefore(deadlineAt: string, now: number): number {
  const deadline = Date.parse(deadlineAt);
  return now < deadline ? Math.min(deadline, nextLook(now)) : nextLook(now);
}
