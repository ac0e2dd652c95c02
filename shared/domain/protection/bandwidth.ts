/** How fast a plan's runs may upload, by the hours of the week. */
import type { BandwidthHours } from "../../protocol/weekly-hours.ts";
import { TimeZone } from "../../time-zone.ts";
import { minutesInto, spanOf } from "./weekly-span.ts";

interface Bandwidth extends BandwidthHours {
  /** Of the hours that no window names. */
  bandwidthLimitBytesPerSecond?: number | undefined;
}

/** The limit at a time (milliseconds since 1970), in bytes per second; `undefined` if there is none. */
export function bandwidthAt(time: number, bandwidth: Bandwidth): number | undefined {
  return bandwidthClock(bandwidth)(time);
}

/**
 * The same for many times. A limit changes when the clocks of the time zone show it: hours that they skip or
 * repeat are skipped or repeated.
 */
export function bandwidthClock(bandwidth: Bandwidth): (time: number) => number | undefined {
  const { timeZone, windows, bandwidthLimitBytesPerSecond } = bandwidth;
  const zone = new TimeZone(timeZone);
  const spans = windows.map((window) => ({ span: spanOf(window), limit: window.bytesPerSecond }));
  return (time) => {
    const wall = zone.wallTime(time);
    const found = spans.find(({ span }) => minutesInto(span, wall).length > 0);
    return found ? (found.limit ?? undefined) : bandwidthLimitBytesPerSecond;
  };
}
