import { readFile, rename, writeFile } from "node:fs/promises";

const FILE = "/run/causeway/deadline";

/**
 * Puts off the moment at which the machine restarts into its original system whatever it is doing: so many
 * seconds from now.
 */
export async function postponeDeadline(seconds: number): Promise<void> {
  const uptimeSeconds = Math.floor(Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]));
  await writeFile(`${FILE}.new`, `${uptimeSeconds + seconds}\n`);
  await rename(`${FILE}.new`, FILE);
}
