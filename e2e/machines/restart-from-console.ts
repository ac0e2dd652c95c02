import { ROOT_PASSWORD } from "./disk/debian-root.ts";
import type { SourceMachine } from "./source-machine.ts";

/** Logs in on the console as root, restarts the system in the usual way, and waits until it is up. */
export async function restartFromConsole(machine: SourceMachine): Promise<void> {
  const dialogue: [shown: RegExp, typed: string][] = [
    [/login: $/, "root"],
    [/Password: $/, ROOT_PASSWORD],
    [/[#$] $/, "systemctl reboot"],
  ];
  for (const [shown, typed] of dialogue) {
    const from = machine.console.length;
    // The console may have shown other things since: an empty line asks it again.
    if (typed === "root") machine.type("");
    await machine.waitFor(shown, from);
    machine.type(typed);
  }
  await machine.waitFor(/login: /, machine.console.length);
}
