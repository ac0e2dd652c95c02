/** Which recovery points of a protection plan stay. */
import * as z from "zod";
import { InvalidInputError } from "../../errors.ts";
import { inWords } from "../../problem-words.ts";
import { TimeZone } from "../../time-zone.ts";

/** How many periods a rule keeps. Rules that are absent from a plan keep nothing. */
const Periods = z.int().min(0).max(10_000).default(0);

/**
 * How many points each rule keeps. `last` is the floor: the newest points, of which there is always one.
 * Each other rule keeps the newest point of each of its newest periods that have a point. Periods count only
 * if they have a point, so a source that is away for a year loses nothing.
 */
export const Retention = z.strictObject({
  last: z.int().min(1).max(10_000).default(1),
  hourly: Periods,
  daily: Periods,
  weekly: Periods,
  monthly: Periods,
});
export type Retention = z.infer<typeof Retention>;

const RULES = ["last", "hourly", "daily", "weekly", "monthly"] as const satisfies (keyof Retention)[];

/**
 * Why a point stays: a rule; `oldest`, because a rule has fewer periods than it may keep and history should
 * begin where it began; `future`, because it is dated after now; `pinned`, because something uses it; or
 * `not-of-plan`, because no plan made it or another plan did.
 */
export const KeepReason = z.enum([...RULES, "oldest", "future", "pinned", "not-of-plan"]);
export type KeepReason = z.infer<typeof KeepReason>;

/** A point as the control plane recorded it. Its date is the control plane's, never the source's. */
export interface RecordedPoint {
  id: string;
  /** ISO 8601. */
  createdAt: string;
  /** Whether the plan whose retention this is made it. */
  ofPlan: boolean;
  /** Whether a clone, a standby or a drill still needs it. */
  pinned: boolean;
}

export interface Verdict {
  id: string;
  createdAt: string;
  /** Empty: the point is pruned. */
  keptBy: KeepReason[];
}

/**
 * Judges each point of a source, newest first; the order of the input does not matter. Hours, days, ISO weeks
 * and months are those of the time zone, an IANA name; an hour that a change of clocks repeats counts as two.
 *
 * - A point dated after `nowMs` (the clock was set back) stays and does not count, so it displaces no other.
 * - A point that the plan did not make stays and does not count. A pinned point stays and counts.
 * - Judging after each new point and pruning keeps the same points as judging once at the end.
 */
export function keep(
  points: readonly RecordedPoint[],
  retention: Retention,
  timeZone: string,
  nowMs: number,
): Verdict[] {
  const verdicts = points
    .map((point) => ({ ...point, ms: Date.parse(point.createdAt), keptBy: [] as KeepReason[] }))
    .sort((a, b) => b.ms - a.ms || (a.id < b.id ? 1 : -1));
  for (const verdict of verdicts) {
    if (!verdict.ofPlan) verdict.keptBy.push("not-of-plan");
    else if (verdict.ms > nowMs) verdict.keptBy.push("future");
    if (verdict.pinned) verdict.keptBy.push("pinned");
  }
  const counted = verdicts.filter(({ ofPlan, ms }) => ofPlan && ms <= nowMs);
  const periodsOf = calendar(timeZone);
  const periods = counted.map(({ id, ms }) => ({ last: id, ...periodsOf(ms) }));
  let unfilled = false;
  for (const rule of RULES) {
    const seen = new Set<string | number>();
    counted.forEach(({ keptBy }, at) => {
      const period = periods[at]?.[rule] ?? "";
      if (seen.size >= retention[rule] || seen.has(period)) return;
      seen.add(period);
      keptBy.push(rule);
    });
    unfilled ||= seen.size < retention[rule];
  }
  const oldest = counted.at(-1)?.keptBy;
  if (unfilled && oldest?.length === 0) oldest.push("oldest");
  return verdicts.map(({ id, createdAt, keptBy }) => ({ id, createdAt, keptBy }));
}

type Periods = Record<Exclude<keyof Retention, "last">, string | number>;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Names the periods of a time zone's calendar that a time is in. */
function calendar(timeZone: string): (ms: number) => Periods {
  const zone = new TimeZone(timeZone);
  return (ms) => {
    const { year, month, day, hour, minute, second } = zone.wallTime(ms);
    const local = Date.UTC(year, month - 1, day, hour, minute, second);
    const offset = local - Math.floor(ms / 1000) * 1000;
    const days = Math.floor(local / DAY_MS);
    return {
      hourly: `${Math.floor(local / HOUR_MS)} ${offset}`,
      daily: days,
      // Day 0 was a Thursday; ISO weeks begin on Mondays.
      weekly: Math.floor((days + 3) / 7),
      monthly: year * 12 + month,
    };
  };
}

/**
 * Reads `last=12,hourly=24,daily=14`: rules in any order, each once. Throws `InvalidInputError`, which names
 * `keep`.
 */
export function parseRetention(text: string): Retention {
  const counts: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [, rule = "", count = ""] = /^\s*([a-z]+)\s*=\s*(\d{1,9})\s*$/.exec(part) ?? [];
    if (!RULES.some((known) => known === rule))
      throw invalid(`"${part.trim()}" is not one of ${RULES.join(", ")} with a number, such as daily=14`);
    if (counts[rule] !== undefined) throw invalid(`${rule} is given twice`);
    counts[rule] = Number(count);
  }
  const retention = Retention.safeParse(counts, { error: inWords });
  if (retention.success) return retention.data;
  throw invalid(
    retention.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "),
  );
}

/** As `parseRetention` reads it, without the rules that keep nothing. */
export function formatRetention(retention: Retention): string {
  return RULES.filter((rule) => retention[rule] > 0)
    .map((rule) => `${rule}=${retention[rule]}`)
    .join(",");
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError([{ path: "keep", message }]);
}
