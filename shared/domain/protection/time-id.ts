/** Base 36, so that ids sort by time until the year 5188. */
export const TIME_DIGITS = 9;

/** A time (milliseconds since 1970) as ids of runs and drills begin with it. */
export function timeInId(time: number): string {
  return time.toString(36).padStart(TIME_DIGITS, "0");
}
