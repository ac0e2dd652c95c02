/**
 * How long captures and collect-garbage leave each other alone: "Operations at the same time" in
 * docs/format.md.
 */

const DAY_MS = 24 * 3600 * 1000;

/** How long a pruned point stays readable, and how old a pack must be before it can be garbage. */
export const SAFETY_AGE_MS: number = 7 * DAY_MS;

/**
 * The longest time a capture may base its result on its parent. It is shorter than the safety age by more
 * than clocks of servers are wrong.
 */
export const CAPTURE_AGE_MS: number = 5 * DAY_MS;
