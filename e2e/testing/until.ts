import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls `find` until it returns a result, with pauses of `pauseMs`. After `seconds`, rejects with an error
 * that says what is missing.
 */
export async function until<T>(
  what: string,
  find: () => Promise<T | undefined> | T | undefined,
  seconds = 120,
  pauseMs = 20,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s without success for ${what}`);
    await sleep(pauseMs);
  }
}
