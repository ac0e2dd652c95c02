import type { Clock, Log } from "../ports.ts";

/** One JSON object per line, as CloudWatch Logs finds them by field. `fields` are on every line. */
export function jsonLog(
  write: (line: string) => void,
  clock: Clock,
  fields: Record<string, unknown> = {},
): Log {
  const at =
    (level: string) =>
    (message: string, more: Record<string, unknown> = {}) => {
      const timestamp = new Date(clock.now()).toISOString();
      write(JSON.stringify({ timestamp, level, message, ...fields, ...more }));
    };
  return { info: at("INFO"), warn: at("WARN"), error: at("ERROR") };
}

/** What a log says of an error: everything, for only operators read it. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) };
  const { name, message, stack, cause } = error;
  return { error: { name, message, stack, ...(cause === undefined ? {} : { cause: String(cause) }) } };
}
