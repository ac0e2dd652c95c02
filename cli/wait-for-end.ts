import { setTimeout as sleep } from "node:timers/promises";
import { CausewayError } from "#shared/errors.ts";
import { ApiUnreachableError } from "#shared/protocol/client.ts";
import type { CliCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { ProgressLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

const POLL_MS = 1_000;

/** `again`: the command that waits again. */
export function sayStarted({ terminal }: CliCall, id: string, again: string): void {
  terminal.err(
    `${id} started; it continues if you stop waiting: \`causeway ${again} ${id} --wait\` waits again\n`,
  );
}

export const WAIT_HELP: [option: string, meaning: string] = [
  "--wait",
  "wait until it has ended; the exit code gives its outcome",
];

/** Of a command that shows one or lists all. Throws `UsageError` for `--wait` without an id. */
export function waitsFor(call: CliCall, argument: string, command: string): boolean {
  if (call.values.wait !== true) return false;
  if (call.arguments[argument] === undefined)
    throw new UsageError(`--wait is about one ${argument}: name it`, command);
  return true;
}

interface Watch<T> {
  /** Lines that stay, each once: what is new since the last call. By default there are none. */
  news?: (current: T) => string[];
  /** Until the next look; a second by default. */
  pauseMs?: (current: T) => number;
}

/** How long `--wait` tolerates an outage of the control plane. The work itself continues. */
const MAX_OUTAGE_MS = 15 * 60_000;

/**
 * Polls until what `get` returns has ended, even if the control plane restarts after its first answer.
 * Shows what `describe` returns; between two steps, for which it returns `undefined`, what it returned last.
 */
export async function waitForEnd<T extends { endedAt?: string | undefined }>(
  get: () => Promise<T>,
  describe: (current: T) => string | undefined,
  terminal: Terminal,
  { news = () => [], pauseMs = () => POLL_MS }: Watch<T> = {},
): Promise<T> {
  const line = new ProgressLine(terminal);
  let lastAnswer = performance.now();
  let isKnown = false;
  let text = "starting";
  try {
    for (;;) {
      let pause = POLL_MS;
      try {
        const current = await get();
        lastAnswer = performance.now();
        isKnown = true;
        for (const one of news(current)) line.keep(one);
        pause = pauseMs(current);
        if (current.endedAt) return current;
        text = describe(current) ?? text;
        line.show(text);
      } catch (error) {
        const passing =
          error instanceof CausewayError && error.retryable && performance.now() - lastAnswer < MAX_OUTAGE_MS;
        // What has never answered may be at another address.
        if (!passing || (error instanceof ApiUnreachableError && !isKnown)) throw error;
        line.show("the control plane does not answer; retrying");
      }
      await sleep(pause);
    }
  } finally {
    line.end();
  }
}
