import { logInAsRoot, type SerialConsole } from "./console-text.ts";

/** Logs in on the console as root, restarts the system in the usual way, and waits until it is up. */
export async function restartFromConsole(machine: SerialConsole): Promise<void> {
  await logInAsRoot(machine);
  machine.type("systemctl reboot");
  await machine.waitFor(/login: /, machine.console.length);
}
