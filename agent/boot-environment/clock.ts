import type { Machine } from "../machine/machine.ts";

/** Signatures are refused if the clock is off by 15 minutes or more. */
const TOLERANCE_MS = 60_000;

/**
 * Returns a `fetch` that corrects this system's clock from the answers if it is far off: many machines
 * without a network have lost their time. It sets only the running system's clock, never the firmware's. Uses
 * `https` answers only, because only the control plane can give the time there.
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
 * Returns the time to set the clock to if the clock is certainly wrong. Only a clock earlier than
 * `notBefore`, when the original system prepared this start, is certainly wrong: the firmware clock has lost
 * its time, or holds local time west of Greenwich. Certificates and signed requests would be refused. A later
 * clock is left alone, because requests use the cloud's time. Whole seconds, never before `notBefore`.
 */
export function clockToSet(clock: Date, notBefore: Date): Date | undefined {
  return clock.getTime() < notBefore.getTime()
    ? new Date(Math.ceil(notBefore.getTime() / 1000) * 1000)
    : undefined;
}

/**
 * Sets this system's clock forward if `clockToSet` says so; returns whether it did. The firmware's own clock,
 * which belongs to the source, is not changed. Throws if the clock cannot be set.
 */
export async function setClockForward(
  machine: Pick<Machine, "run">,
  { clock, notBefore }: { clock: Date; notBefore: Date },
): Promise<boolean> {
  const time = clockToSet(clock, notBefore);
  if (!time) return false;
  const result = await machine.run("date", "-u", "-s", `@${time.getTime() / 1000}`);
  if (result?.status !== 0)
    throw new Error(`the clock could not be set: ${result?.output.trim() ?? "the command date is missing"}`);
  return true;
}
