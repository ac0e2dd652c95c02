/** A machine in QEMU whose boot loader either starts something or waits for a person. */
import { spawn } from "node:child_process";
import { once } from "node:events";

export interface LoaderScreen {
  /** Shown when it asks for something. */
  asks: RegExp;
  /** Its menu. */
  menu: RegExp;
  /** Shown with a menu that starts something by itself. */
  counts: RegExp;
  /** What to return if the boot loader restarts the machine. If absent, a restart is an error. */
  restarts?: string;
}

/** Whole only with what is behind it. */
const STARTED = /STARTED:(\w+)\s/;
const GIVE_UP_MS = 240_000;

/**
 * Returns the started entry's word on the serial port, or `undefined` if the loader shows for `waitSeconds`
 * that it waits. On a slow machine, continues to wait while the menu counts down.
 */
export function watchSerial(
  options: readonly string[],
  { asks, menu, counts, restarts }: LoaderScreen,
  waitSeconds: number,
): Promise<string | undefined> {
  const machine = spawn("qemu-system-x86_64", [
    ...["-accel", "tcg", "-display", "none", "-nic", "none", "-monitor", "none"],
    ...["-no-reboot", "-serial", "stdio", ...options],
  ]);
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  let output = "";
  let waiting: NodeJS.Timeout | undefined;
  const giveUp = setTimeout(() => reject(new Error(`nothing happened: ${output}`)), GIVE_UP_MS);
  const ended = once(machine, "exit").catch(reject);
  // QEMU's own messages.
  machine.stderr.on("data", (bytes: Buffer) => {
    output += bytes.toString("latin1");
  });
  machine.once("exit", (status) => {
    if (restarts !== undefined && status === 0) resolve(restarts);
    else reject(new Error(`the machine ended: ${output}`));
  });
  machine.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString("latin1");
    const started = STARTED.exec(output)?.[1];
    if (started) resolve(started);
    else if (asks.test(output) || (menu.test(output) && !counts.test(output))) {
      waiting ??= setTimeout(() => resolve(undefined), waitSeconds * 1000);
    } else {
      clearTimeout(waiting);
      waiting = undefined;
    }
  });
  return promise.finally(async () => {
    clearTimeout(giveUp);
    clearTimeout(waiting);
    machine.kill("SIGKILL");
    // Until QEMU has ended, it locks its disks, and the next start would fail.
    await ended;
  });
}
