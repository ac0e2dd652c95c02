/** A date and time as clocks on the wall show it; month and day count from 1. */
export interface WallTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const DAY_MS = 24 * 3600 * 1000;

/** Converts between points in time and what clocks show in one IANA time zone. */
export class TimeZone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;

  /** Throws `RangeError` for a name that is not a time zone. */
  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  /** `time` is in milliseconds since 1970. */
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
   * When clocks first show this time, in milliseconds since 1970. Returns `undefined` if there is no such
   * date, or if clocks are set forward past it. If they are set back and show it twice, the first time
   * counts.
   */
  timeOf(wall: WallTime): number | undefined {
    const asUtc = utcOf(wall);
    // No zone changes its offset twice within two days.
    const offsets = [asUtc - DAY_MS, asUtc + DAY_MS].map((near) => utcOf(this.wallTime(near)) - near);
    const candidates = offsets.map((offset) => asUtc - offset).sort((a, b) => a - b);
    return candidates.find((candidate) => isSame(this.wallTime(candidate), wall));
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
