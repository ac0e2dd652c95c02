import type { Machine } from "../inventory/machine.ts";

/** Signatures are refused from a quarter of an hour on. */
const TOLERANCE_MS = 60_000;

/**
 * Requests whose answers put this system's clock right, as far as it is far off: many a machine without a network has lost its time. Only the
 * running system's clock is set, never the machine's own. Over `https` nobody else can say what time it is.
 */
export function fetchThatSetsClock(
  machine: Pick<Machine, "run">,
  { now, onSet }: { now: () => Date; onSet: (was: Date) => void },
  send: typeof fetch = fetch,
): typeof fetch {
  return async (url, init) => {
    const response = await send(url, init);
    const told = Date.parse(response.headers.get("date") ?? "");
    const was = now();
    if (Number.isNaN(told) || Math.abs(told - was.getTime()) <= TOLERANCE_MS) return response;
    const result = await machine.run("date", "-s", `@${Math.round(told / 1000)}`);
    if (result?.status === 0) onSet(was);
    return response;
  };
}
