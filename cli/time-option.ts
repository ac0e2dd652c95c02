import { isTimeZone, TimeZone, type WallTime } from "#shared/time-zone.ts";
import { type CliCall, textOption } from "./command.ts";
import { UsageError } from "./errors.ts";

/**
 * A time such as `2030-12-31T02:30Z`, as ISO 8601 in UTC. One without an offset is what clocks show in
 * `timeZone`, by default this computer's. Throws `UsageError`, also for a time that clocks skip.
 */
export function timeOption(
  call: CliCall,
  name: string,
  command: string,
  timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone,
): string | undefined {
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  const [, wall, offset] =
    /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?$/.exec(value) ?? [];
  const shown = wall === undefined ? undefined : wallTime(wall);
  if (!shown)
    throw new UsageError(
      `--${name} must be a time such as 2030-12-31T02:30 or 2030-12-31T02:30Z, not ${value}`,
      command,
    );
  const time = offset === undefined ? new TimeZone(timeZone).timesOf(shown)[0] : Date.parse(value);
  if (time === undefined)
    throw new UsageError(
      `--${name}: clocks in ${timeZone} never show ${value}, because they are set forward then`,
      command,
    );
  return new Date(time).toISOString();
}

/** `--time-zone`; throws `UsageError` if there is no such zone. */
export function timeZoneOption(call: CliCall, command: string): string | undefined {
  const zone = textOption(call, "time-zone");
  if (zone === undefined || isTimeZone(zone)) return zone;
  throw new UsageError(`--time-zone must be an IANA time zone such as Europe/Vienna, not ${zone}`, command);
}

/** `undefined` if there is no such date or time of day. */
function wallTime(text: string): WallTime | undefined {
  const asUtc = new Date(`${text}Z`);
  if (Number.isNaN(asUtc.getTime()) || !asUtc.toISOString().startsWith(text)) return undefined;
  return {
    ...{ year: asUtc.getUTCFullYear(), month: asUtc.getUTCMonth() + 1, day: asUtc.getUTCDate() },
    ...{ hour: asUtc.getUTCHours(), minute: asUtc.getUTCMinutes(), second: asUtc.getUTCSeconds() },
  };
}
