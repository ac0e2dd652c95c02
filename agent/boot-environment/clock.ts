import type { Machine } from "../machine/machine.ts";

/** Signatures are refused from a quarter of an hour on. */
const TOLERANCE_MS = 60_000;

/**
 * Requests whose answers put this system's clock right, as far as it is far off: many a machine without a
 * network has lost its time. Only the running system's clock is set, never the machine's own. Over `https`
 * nobody else can say what time it is.
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

/**
 * What to set the clock to, if it must be wrong: nothing happens before the original system prepared this
 * start. A firmware clock that lost its time, or that holds local time west of Greenwich, is behind;
 * certificates and signed requests would be refused. Certainly wrong is only what is too early, so a clock
 * that is later is left alone: requests go by the cloud's clock. Whole seconds, never before `notBefore`.
 */
export function clockToSet(clock: Date, notBefore: Date): Date | undefined {
  return clock.getTime() < notBefore.getTime()
    ? new Date(Math.ceil(notBefore.getTime() / 1000) * 1000)
    : undefined;
}

/**
 * Sets this system's clock forward where `clockToSet` says so, and tells whether it did. The firmware's own
 * clock, which is the source's, stays as it is. Throws if the clock cannot be set.
 */
export async function setClockForward(
  machine: Pick<Machine, "run">,
  { clock, notBefore }: { clock: Date; notBefore: Date },
): Promise<boolean> {
  const time = clockToSet(clock, notBefore);
  if (!time) return false;
  const result = await machine.run("date", "-u", "-s", `@${time.getTime() / 1000}`);
  if (result?.status !== 0)
    throw new Error(`the clock could not be set: ${result?.output.trim() ?? "there is no date"}`);
  return true;
}
