/** A machine in QEMU with hardware of the test's choice, seen through a serial port (`-serial stdio`). */
import { spawn } from "node:child_process";
import { once } from "node:events";

const GIVE_UP_MS = 600_000;
/** What systemd shows when it waits for a person. */
const EMERGENCY = /You are in emergency mode/;

/**
 * What the machine shows until all patterns match. Rejects if they do not within ten minutes, or if its
 * system gives up. A person who sees what `at` matches types that line, once.
 */
export async function startOnHardware(
  options: readonly string[],
  patterns: readonly RegExp[],
  typed: readonly { at: RegExp; line: string }[] = [],
): Promise<string> {
  const machine = spawn("setpriv", [
    ...["--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max"],
    ...["-machine", "q35", "-m", "1024", "-smp", "2", "-display", "none", "-monitor", "none"],
    ...["-no-reboot", ...options],
  ]);
  const ended = once(machine, "exit");
  const left = new Set(typed);
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = () =>
    reject(new Error(`it does not show ${patterns.join(" and ")}, but ends with ${output.slice(-1500)}`));
  const giveUp = setTimeout(fail, GIVE_UP_MS);
  // A machine that has ended reads nothing more; its end is what counts.
  machine.stdin.on("error", () => undefined);
  for (const stream of [machine.stdout, machine.stderr])
    stream.on("data", (bytes: Buffer) => {
      output += bytes.toString("latin1");
      for (const one of left)
        if (one.at.test(output)) {
          left.delete(one);
          machine.stdin.write(`${one.line}\n`);
        }
      if (patterns.every((pattern) => pattern.test(output))) resolve(output);
      else if (EMERGENCY.test(output)) fail();
    });
  machine.once("exit", () => reject(new Error(`the machine ended with ${output.slice(-1500)}`)));
  try {
    return await promise;
  } finally {
    clearTimeout(giveUp);
    machine.kill("SIGKILL");
    await ended;
  }
}
