import type { Machine } from "../machine/machine.ts";

/**
 * Restarts in an orderly way, as an operator would: services stop, file systems are unmounted. Throws if the
 * machine refuses.
 */
export function restartMachine(machine: Machine): Promise<void> {
  return shutDown(machine, "reboot", "restart");
}

/** Switches the machine off in the same way. Throws if it refuses. */
export function switchMachineOff(machine: Machine): Promise<void> {
  return shutDown(machine, "poweroff", "switch off");
}

async function shutDown(machine: Machine, command: "reboot" | "poweroff", verb: string): Promise<void> {
  const result = await machine.run("systemctl", command);
  if (result?.status === 0) return;
  const other = await machine.run(command);
  if (other?.status !== 0)
    throw new Error(
      `the machine does not ${verb}: ${(other ?? result)?.output.trim() ?? `no program can ${verb} it`}`,
    );
}
