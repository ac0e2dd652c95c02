import { readFile, rename, writeFile } from "node:fs/promises";

const FILE = "/run/causeway/deadline";

/**
 * Moves the time at which the boot environment's init restarts the machine into its original system to
 * `seconds` from now.
 */
export async function postponeDeadline(seconds: number): Promise<void> {
  const uptimeSeconds = Math.floor(Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]));
  await writeFile(`${FILE}.new`, `${uptimeSeconds + seconds}\n`);
  await rename(`${FILE}.new`, FILE);
}
