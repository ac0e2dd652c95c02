/**
 * When cutover windows are open. All times are milliseconds since 1970. A window opens at the first moment
 * at which clocks show its start or more, and closes at the first one at which they show its end or more. So
 * hours that clocks skip are missing in it, and hours that they show twice do not open it a second time.
 */
import type { CutoverWindow } from "../../protocol/cutover-window.ts";
import { TimeZone } from "../../time-zone.ts";
import { spanOf, wallAt } from "../protection/weekly-span.ts";

/** It is open from `opensAt` on, and no longer at `closesAt`. */
export interface WindowOpening {
  opensAt: number;
  closesAt: number;
}

const DAY_MS = 86_400_000;

/**
 * The opening that contains the time, and those after it, in order. Windows that overlap or touch make one
 * opening.
 */
export function openingsFrom(windows: readonly CutoverWindow[], time: number): WindowOpening[] {
  return openingsOf(windows).filter(({ closesAt }) => closesAt > time);
}

/** The opening that contains the time, or the next one; `undefined` if none is left. */
export function openingFrom(windows: readonly CutoverWindow[], time: number): WindowOpening | undefined {
  return openingsFrom(windows, time)[0];
}

/** The opening that contains the time; `undefined` if no window is open then. */
export function openingAt(windows: readonly CutoverWindow[], time: number): WindowOpening | undefined {
  const opening = openingFrom(windows, time);
  return opening !== undefined && opening.opensAt <= time ? opening : undefined;
}

/** The first opening that begins after the time; `undefined` if none does. */
export function nextOpening(windows: readonly CutoverWindow[], time: number): WindowOpening | undefined {
  return openingsOf(windows).find(({ opensAt }) => opensAt > time);
}

/** In order, with a time between each two. */
function openingsOf(windows: readonly CutoverWindow[]): WindowOpening[] {
  const openings: WindowOpening[] = [];
  for (const opening of windows.flatMap(daysOf).toSorted((a, b) => a.opensAt - b.opensAt)) {
    const last = openings.at(-1);
    if (last === undefined || opening.opensAt > last.closesAt) openings.push({ ...opening });
    else last.closesAt = Math.max(last.closesAt, opening.closesAt);
  }
  return openings;
}

/** The opening of each day. There is none if clocks skip all of its hours. */
function daysOf({ firstDay, lastDay = firstDay, from, to, timeZone }: CutoverWindow): WindowOpening[] {
  const zone = new TimeZone(timeZone);
  const { start, length } = spanOf({ from, to });
  const openings: WindowOpening[] = [];
  for (let day = Date.parse(firstDay); day <= Date.parse(lastDay); day += DAY_MS) {
    const date = new Date(day);
    const named = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
    const opensAt = zone.timeOf(wallAt(named, start));
    const closesAt = zone.timeOf(wallAt(named, start + length));
    if (closesAt > opensAt) openings.push({ opensAt, closesAt });
  }
  return openings;
}
