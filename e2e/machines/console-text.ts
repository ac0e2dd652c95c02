import { setTimeout as wait } from "node:timers/promises";
import { ROOT_PASSWORD } from "./disk/debian-root.ts";

/** The time limit under emulation: three times what the work takes on an idle machine. */
export const CONSOLE_TIMEOUT_MS = 300_000;
const LOOK_EVERY_MS = 200;

/** A machine's serial console. */
export interface SerialConsole {
  /** Everything that it has shown. */
  readonly console: string;
  /** Types a line. */
  type(line: string): void;
  /** As `waitForText` of what it shows. */
  waitFor(text: RegExp, from?: number, timeoutMs?: number): Promise<number>;
}

/**
 * Waits until `read` returns a text with `text` after position `from`. Returns the position after it. Rejects
 * with the console's last words if that takes too long.
 */
export async function waitForText(
  read: () => string,
  text: RegExp,
  { from, timeoutMs }: { from: number; timeoutMs: number },
): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = text.exec(read().slice(from));
    if (found) return from + found.index + found[0].length;
    if (performance.now() > deadline)
      throw new Error(`the console did not show ${text} in time; its last words:\n${read().slice(-1500)}`);
    await wait(LOOK_EVERY_MS);
  }
}

/** Logs in as root, and waits for the shell's prompt. The kernel may write behind each prompt. */
export async function logInAsRoot(serial: SerialConsole): Promise<void> {
  let from = serial.console.length;
  // The console may have shown other things since its prompt: an empty line asks it again.
  serial.type("");
  for (const [shown, typed] of [
    [/login: /, "root"],
    [/Password: /, ROOT_PASSWORD],
  ] as const) {
    await serial.waitFor(shown, from);
    from = serial.console.length;
    serial.type(typed);
  }
  await serial.waitFor(/root@\S+:\S*# /, from);
}
