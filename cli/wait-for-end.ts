import { setTimeout as sleep } from "node:timers/promises";
import { CausewayError } from "#shared/errors.ts";
import { ProgressLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

const POLL_MS = 1_000;

interface Watch<T> {
  /** Lines that stay, each once: what is new since the last call. By default there are none. */
  news?: (current: T) => string[];
  /** Until the next look; a second by default. */
  pauseMs?: (current: T) => number;
}

/** How long `--wait` tolerates an outage of the control plane. The work itself continues. */
const MAX_OUTAGE_MS = 15 * 60_000;

/**
 * Polls until what `get` returns has ended, even if the control plane restarts meanwhile. Shows what
 * `describe` returns; between two steps, for which it returns `undefined`, what it returned last.
 */
export async function waitForEnd<T extends { endedAt?: string | undefined }>(
  get: () => Promise<T>,
  describe: (current: T) => string | undefined,
  terminal: Terminal,
  { news = () => [], pauseMs = () => POLL_MS }: Watch<T> = {},
): Promise<T> {
  const line = new ProgressLine(terminal);
  let lastAnswer = performance.now();
  let text = "starting";
  try {
    for (;;) {
      let pause = POLL_MS;
      try {
        const current = await get();
        lastAnswer = performance.now();
        for (const one of news(current)) line.keep(one);
        pause = pauseMs(current);
        if (current.endedAt) return current;
        text = describe(current) ?? text;
        line.show(text);
      } catch (error) {
        const passing =
          error instanceof CausewayError && error.retryable && performance.now() - lastAnswer < MAX_OUTAGE_MS;
        if (!passing) throw error;
        line.show("the control plane does not answer; retrying");
      }
      await sleep(pause);
    }
  } finally {
    line.end();
  }
}
