import { readFileSync } from "node:fs";

/**
 * Milliseconds since this host started, as the guard script reads them, too. No one can set this clock, and
 * it counts while the host is suspended, which Node's own monotonic clock does not.
 */
export function uptimeMs(): number {
  return Number.parseFloat(readFileSync("/proc/uptime", "latin1")) * 1000;
}
