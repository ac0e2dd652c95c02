/** A date and time as clocks on the wall show it; month and day count from 1. */
export interface WallTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const DAY_MS = 86_400_000;

/** Making one takes longer than everything that is done with it. Names may differ in case only. */
const formats = new Map<string, Intl.DateTimeFormat>();
const MOST_FORMATS = 1000;

/** Whether it names a time zone of the IANA database. */
export function isTimeZone(name: string): boolean {
  try {
    return formatOf(name) !== undefined;
  } catch {
    return false;
  }
}

/** Throws `RangeError` for a name that is not a time zone. */
function formatOf(name: string): Intl.DateTimeFormat {
  const before = formats.get(name);
  if (before) return before;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  if (formats.size >= MOST_FORMATS) formats.clear();
  formats.set(name, format);
  return format;
}

/** Converts between points in time (milliseconds since 1970) and what clocks show in one IANA time zone. */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat;

  /** Throws `RangeError` for a name that is not a time zone. */
  constructor(name: string) {
    this.#format = formatOf(name);
  }

  wallTime(time: number): WallTime {
    const parts = new Map(this.#format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
    const read = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    return {
      year: read("year"),
      month: read("month"),
      day: read("day"),
      hour: read("hour"),
      minute: read("minute"),
      second: read("second"),
    };
  }

  /**
   * Every time at which clocks show this, earliest first: two if they are set back past it, none if they skip
   * it or if there is no such date.
   */
  timesOf(wall: WallTime): number[] {
    const candidates = [...new Set(this.#candidates(wall))];
    return candidates.filter((candidate) => isSame(this.wallTime(candidate), wall));
  }

  /**
   * When clocks show this time of an existing date. A time that they show twice is its first or last
   * occurrence. A time that they skip is the moment at which they skip it.
   */
  timeOf(wall: WallTime, occurrence: "first" | "last" = "first"): number {
    const found = this.timesOf(wall).at(occurrence === "first" ? 0 : -1);
    if (found !== undefined) return found;
    const [earlier = utcOf(wall), later = utcOf(wall)] = this.#candidates(wall);
    return this.#changeBetween(earlier, later);
  }

  /** The time by each of the two offsets that the zone can have then. */
  #candidates(wall: WallTime): number[] {
    const asUtc = utcOf(wall);
    // No zone changes its offset twice within two days.
    const offsets = [asUtc - DAY_MS, asUtc + DAY_MS].map((near) => utcOf(this.wallTime(near)) - near);
    return offsets.map((offset) => asUtc - offset).sort((a, b) => a - b);
  }

  /** The first second with the offset of `to`, if the offset changes once after `from`. */
  #changeBetween(from: number, to: number): number {
    const offset = (time: number) => utcOf(this.wallTime(time)) - time;
    const after = offset(to);
    let [low, high] = [from, to];
    while (high - low > 1000) {
      const middle = low + Math.floor((high - low) / 2000) * 1000;
      if (offset(middle) === after) high = middle;
      else low = middle;
    }
    return high;
  }
}

function utcOf({ year, month, day, hour, minute, second }: WallTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function isSame(a: WallTime, b: WallTime): boolean {
  return (
    a.year === b.year &&
    a.month === b.month &&
    a.day === b.day &&
    a.hour === b.hour &&
    a.minute === b.minute &&
    a.second === b.second
  );
}
