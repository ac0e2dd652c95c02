/**
 * The log of agents and functions: one JSON object a line, with the field names that CloudWatch Logs
 * recognises.
 */
export interface Log {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface LogOptions {
  /** Called with one line at a time, including its line feed. */
  write: (line: string) => void;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Fields of every line. */
  fields?: Record<string, unknown>;
}

export function jsonLog({ write, now, fields = {} }: LogOptions): Log {
  const at =
    (level: string) =>
    (message: string, more: Record<string, unknown> = {}): void => {
      const timestamp = new Date(now()).toISOString();
      write(`${JSON.stringify({ timestamp, level, message, ...fields, ...more })}\n`);
    };
  return { info: at("INFO"), warn: at("WARN"), error: at("ERROR") };
}

/** An error as fields of a line, with all details, because only operators read the log. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) };
  const { name, message, stack, cause } = error;
  return { error: { name, message, stack, ...(cause === undefined ? {} : { cause: String(cause) }) } };
}
