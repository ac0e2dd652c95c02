/** The options that `protect` and `plan … edit` share. */
import { parseRetention } from "#shared/domain/protection/retention.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { DrillSchedule } from "#shared/protocol/drill.ts";
import type { PlanEdit } from "#shared/protocol/protection.ts";
import { BandwidthWindow, WeeklyHours } from "#shared/protocol/weekly-hours.ts";
import { targetId } from "../agent-names.ts";
import { type CliCall, durationOption, numberOption, secondsOption, textOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { timeOption, timeZoneOption } from "../time-option.ts";
import { proveFields } from "./prove-options.ts";

export const PLAN_OPTIONS = {
  every: { type: "string" },
  cron: { type: "string" },
  start: { type: "string" },
  "time-zone": { type: "string" },
  blackout: { type: "string", multiple: true },
  keep: { type: "string" },
  disk: { type: "string", multiple: true },
  "bandwidth-limit": { type: "string" },
  "bandwidth-hours": { type: "string", multiple: true },
  standby: { type: "string" },
  drill: { type: "string" },
  "drill-target": { type: "string" },
  "drill-expect": { type: "string" },
  "drill-timeout": { type: "string" },
  "drill-adapt": { type: "boolean" },
  "drill-prove": { type: "boolean" },
  "drill-prove-seconds": { type: "string" },
} as const;

export const PLAN_HELP: [string, string][] = [
  ["--every INTERVAL", "take a recovery point every 1m to 30d, such as 15m, 1h or 1d"],
  ["--cron EXPRESSION", 'instead of --every: five fields, such as "30 2 * * 1-5"'],
  [
    "--start TIME",
    "when the timetable begins: 2030-12-31T02:30 by the clocks of --time-zone, or of this computer without it; 2030-12-31T02:30Z in UTC",
  ],
  [
    "--time-zone ZONE",
    "whose clocks --cron, --blackout, --bandwidth-hours, --keep and --drill go by, such as Europe/Vienna (default UTC)",
  ],
  ["--blackout HOURS", "start no run in these hours: 08:00-18:00 or 08:00-18:00@mon,fri; can be repeated"],
  ["--keep RULES", "which points stay, such as last=12,hourly=24,daily=14,weekly=8,monthly=12"],
  ["--disk NAME", "only this disk; can be repeated (default: all)"],
  ["--bandwidth-limit BYTES", "upload at most this many bytes per second"],
  ["--bandwidth-hours HOURS=BYTES", "another limit in these hours; HOURS=unlimited: none; can be repeated"],
  ["--standby TARGET", "the target host that keeps an image of the newest point"],
  ["--drill WHEN", "boot a clone of the newest point daily, weekly, monthly or by a cron expression"],
  ["--drill-target TARGET", "the target host of these drills"],
  ["--drill-expect TEXT", "what the clone's console must show (default: a login prompt)"],
  ["--drill-timeout DURATION", "how long the clone may take to boot (default 10m)"],
  ["--drill-adapt", "adapt the clone's system first, as `causeway drill --adapt` does"],
  ["--drill-prove", "compare files of the source with the clone's, as `causeway drill --prove` does"],
  ["--drill-prove-seconds DURATION", "how long files of the source are read, as with `causeway drill`"],
];

/** The fields of a plan that the options name. */
export function planFields(call: CliCall, command: string): PlanEdit {
  const intervalSeconds = durationOption(call, "every", command);
  const cron = textOption(call, "cron");
  if (intervalSeconds !== undefined && cron !== undefined)
    throw new UsageError("give either --every or --cron", command);
  const timeZone = timeZoneOption(call, command);
  const startAt = timeOption(call, "start", command, timeZone);
  const blackout = call.values.blackout as string[] | undefined;
  const keep = textOption(call, "keep");
  const disks = call.values.disk as string[] | undefined;
  const limit = numberOption(call, "bandwidth-limit", command);
  const bandwidthHours = call.values["bandwidth-hours"] as string[] | undefined;
  const drills = drillsOf(call, command);
  const standbyTargetId = textOption(call, "standby");
  return {
    ...(intervalSeconds === undefined ? {} : { intervalSeconds }),
    ...(cron === undefined ? {} : { cron }),
    ...(startAt === undefined ? {} : { startAt }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(blackout === undefined ? {} : { blackout: blackout.map((text) => blackoutOf(text, command)) }),
    ...(keep === undefined ? {} : { retention: parseRetention(keep) }),
    ...(disks === undefined ? {} : { disks }),
    ...(standbyTargetId === undefined ? {} : { standbyTargetId }),
    ...(drills === undefined ? {} : { drills }),
    ...(limit === undefined ? {} : { bandwidthLimitBytesPerSecond: limit }),
    ...(bandwidthHours === undefined
      ? {}
      : { bandwidthHours: bandwidthHours.map((text) => bandwidthWindowOf(text, command)) }),
  };
}

/** The same fields, with the ids of target hosts that were given by their names. */
export async function withTargetIds<F extends PlanEdit>(api: ApiClient, fields: F): Promise<F> {
  const { standbyTargetId, drills } = fields;
  return {
    ...fields,
    ...(standbyTargetId ? { standbyTargetId: await targetId(api, standbyTargetId) } : {}),
    ...(drills ? { drills: { ...drills, targetId: await targetId(api, drills.targetId) } } : {}),
  };
}

/** At an hour when little else runs. */
const DRILL_TIMES: Record<string, string> = {
  daily: "0 5 * * *",
  weekly: "0 5 * * sun",
  monthly: "0 5 1 * *",
};

function drillsOf(call: CliCall, command: string): DrillSchedule | undefined {
  const when = textOption(call, "drill");
  const target = textOption(call, "drill-target");
  const bootExpect = textOption(call, "drill-expect");
  const timeout = secondsOption(call, "drill-timeout", command);
  const adapt = call.values["drill-adapt"] === true || undefined;
  const { proveSeconds } = proveFields(call, command, "drill-");
  const others = [target, bootExpect, timeout, adapt, proveSeconds];
  if (when === undefined && others.every((option) => option === undefined)) return undefined;
  if (when === undefined || target === undefined)
    throw new UsageError("drills need both --drill WHEN and --drill-target TARGET", command);
  return {
    cron: DRILL_TIMES[when] ?? when,
    targetId: target,
    bootTimeoutSeconds: timeout ?? 600,
    ...(bootExpect === undefined ? {} : { bootExpect }),
    ...(adapt ? { adapt } : {}),
    ...(proveSeconds === undefined ? {} : { proveSeconds }),
  };
}

/** Reads `08:00-18:00` or `08:00-18:00@mon,fri`. */
function blackoutOf(text: string, command: string): WeeklyHours {
  const window = WeeklyHours.safeParse(hoursOf(text));
  if (window.success) return window.data;
  throw new UsageError(`--blackout must be like 08:00-18:00 or 08:00-18:00@mon,fri, not ${text}`, command);
}

/** Reads hours, `=`, and bytes per second or `unlimited`. */
function bandwidthWindowOf(text: string, command: string): BandwidthWindow {
  const [, hours = "", limit = ""] = /^([^=]*)=(\d+|unlimited)$/.exec(text) ?? [];
  const bytesPerSecond = limit === "unlimited" ? null : Number(limit);
  const window = BandwidthWindow.safeParse({ ...hoursOf(hours), bytesPerSecond });
  if (window.success) return window.data;
  const examples = "08:00-18:00@mon,fri=2500000 or 18:00-08:00=unlimited";
  throw new UsageError(`--bandwidth-hours must be like ${examples}, not ${text}`, command);
}

function hoursOf(text: string): object {
  const [, from, to, days] = /^(\d\d:\d\d)-(\d\d:\d\d)(?:@([a-z,]+))?$/.exec(text) ?? [];
  return { from, to, ...(days === undefined ? {} : { days: days.split(",") }) };
}
