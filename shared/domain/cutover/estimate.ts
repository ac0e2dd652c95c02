/** Estimates from measurements. A range is meant to hold 99 of 100 values. */

/** `low` is at least 0. */
export interface Estimate {
  expected: number;
  low: number;
  high: number;
}

/** One duration, and how much work it took. */
export interface WorkSample {
  amount: number;
  seconds: number;
}

/** Standard deviations on each side of what is expected. */
const REACH = 2.5;

/** Until measurements say otherwise, a value varies by this part of itself. */
const USUAL_VARIATION = 0.15;

/** However alike the values of others were. */
const LEAST_VARIATION = 0.05;

/** Only the last ones count, because machines change. */
const MOST_SAMPLES = 20;

/** Amounts that differ by less than this part of themselves say nothing of what depends on the amount. */
const SAME = 0.001;

/** What slows one part (a busy host) slows the others as well: this part of the sum. */
const COMMON_VARIATION = 0.04;

/** Of a sum, in seconds: agents get commands and answer them in steps of that size. */
const LEAST_VARIATION_SECONDS = 0.2;

/**
 * The next value after these, oldest first; `undefined` if there is none. The usual variation counts as one
 * more value, so few values have a wide range even if they are equal.
 */
export function estimateFrom(
  values: readonly number[],
  usualVariation = USUAL_VARIATION,
): Estimate | undefined {
  const last = values.slice(-MOST_SAMPLES);
  if (last.length === 0) return undefined;
  const mean = sum(last) / last.length;
  const squares = sum(last.map((value) => (value - mean) ** 2)) + (usualVariation * mean) ** 2;
  return within(mean, REACH * Math.sqrt((squares / last.length) * (1 + 1 / last.length)));
}

/**
 * By which part of itself a value usually varies, when the values of each group vary around a mean of their
 * own. What is usual without groups counts as one more value.
 */
export function variationWithin(groups: readonly (readonly number[])[]): number {
  let squares = USUAL_VARIATION ** 2;
  let count = 1;
  for (const values of groups) {
    const mean = sum(values) / values.length;
    if (!(mean > 0)) continue;
    squares += sum(values.map((value) => (value / mean - 1) ** 2));
    count += values.length - 1;
  }
  return Math.max(LEAST_VARIATION, Math.sqrt(squares / count));
}

/**
 * Seconds for an amount of work that takes a fixed time and a time in proportion to the amount; `undefined`
 * without samples, which are oldest first. How the time divides into these two is as certain as the samples'
 * amounts are different.
 */
export function estimateWork(samples: readonly WorkSample[], amount: Estimate): Estimate | undefined {
  const last = samples.slice(-MOST_SAMPLES);
  if (last.length === 0) return undefined;
  const line = lineThrough(last);
  const near = line(amount.expected);
  const [least, most] = [line(amount.low).expected, line(amount.high).expected];
  return within(
    near.expected,
    Math.hypot(near.expected - least, near.expected - near.low),
    Math.hypot(most - near.expected, near.high - near.expected),
  );
}

/** The sum of durations that vary independently, and a little together. */
export function sumOf(parts: readonly Estimate[]): Estimate {
  const expected = sum(parts.map((part) => part.expected));
  const common = [REACH * COMMON_VARIATION * expected, REACH * LEAST_VARIATION_SECONDS];
  return within(
    expected,
    Math.hypot(...common, ...parts.map((part) => part.expected - part.low)),
    Math.hypot(...common, ...parts.map((part) => part.high - part.expected)),
  );
}

/** Fits a line; small durations count as much as large ones, by their relative errors. */
function lineThrough(samples: readonly WorkSample[]): (amount: number) => Estimate {
  const weights = samples.map(({ seconds }) => 1 / Math.max(seconds, 0.1) ** 2);
  const mean = (values: readonly number[]) =>
    sum(values.map((value, at) => value * (weights[at] ?? 0))) / sum(weights);
  const [meanAmount, meanSeconds] = [
    mean(samples.map(({ amount }) => amount)),
    mean(samples.map(({ seconds }) => seconds)),
  ];
  const spread = mean(samples.map(({ amount }) => (amount - meanAmount) ** 2));
  const together = mean(
    samples.map(({ amount, seconds }) => (amount - meanAmount) * (seconds - meanSeconds)),
  );
  // If all of the time were in proportion to the amount. The fixed part is not negative.
  const steepest = meanAmount > 0 ? meanSeconds / meanAmount : 0;
  const differ = spread > (SAME * meanAmount) ** 2;
  const slope = differ ? Math.min(Math.max(together / spread, 0), steepest) : steepest / 2;
  const at = (amount: number, withSlope = slope) =>
    Math.max(0, meanSeconds + withSlope * (amount - meanAmount));
  const errors = samples.map(({ amount, seconds }) => seconds / Math.max(at(amount), 0.1) - 1);
  const variation = Math.sqrt(
    (sum(errors.map((error) => error ** 2)) + USUAL_VARIATION ** 2) / errors.length,
  );
  const slopeReach = differ
    ? (REACH * variation * meanSeconds) / Math.sqrt(spread * samples.length)
    : Number.POSITIVE_INFINITY;
  const [flat, steep] = [Math.max(0, slope - slopeReach), Math.min(steepest, slope + slopeReach)];
  return (amount) => {
    const expected = at(amount);
    const reach = REACH * variation * Math.sqrt(1 + 1 / samples.length) * expected;
    const others = [at(amount, flat), at(amount, steep)];
    return within(
      expected,
      Math.hypot(reach, expected - Math.min(...others)),
      Math.hypot(reach, Math.max(...others) - expected),
    );
  };
}

function within(expected: number, below: number, above = below): Estimate {
  return { expected, low: Math.max(0, expected - below), high: expected + above };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
