import type { Machine } from "../machine/machine.ts";

/**
 * Restarts in an orderly way, as an operator would: services stop, file systems are unmounted. Throws if the
 * machine refuses.
 */
export async function restartMachine(machine: Machine): Promise<void> {
  const result = await machine.run("systemctl", "reboot");
  if (result?.status === 0) return;
  const other = await machine.run("reboot");
  if (other?.status !== 0)
    throw new Error(
      `the machine does not restart: ${(other ?? result)?.output.trim() ?? "no program can restart it"}`,
    );
}
