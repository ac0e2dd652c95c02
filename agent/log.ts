/** The agent's log: one JSON line an event, to standard error. */
export interface Log {
  info(message: string, facts?: Record<string, unknown>): void;
  warn(message: string, facts?: Record<string, unknown>): void;
  error(message: string, facts?: Record<string, unknown>): void;
}

/** Writes lines to `write`, stamped with `now`. */
export function jsonLog(write: (line: string) => void, now: () => Date): Log {
  const at =
    (level: string) =>
    (message: string, facts: Record<string, unknown> = {}) =>
      write(`${JSON.stringify({ at: now().toISOString(), level, message, ...facts })}\n`);
  return { info: at("info"), warn: at("warn"), error: at("error") };
}
