import { run } from "./command.ts";

/**
 * Copies a disk image with its holes. The copy is on the medium when this returns: else the next small write
 * that must be durable, of whoever, waits for all of it.
 */
export async function copyDisk(from: string, to: string): Promise<void> {
  await run("cp", ["--sparse=always", "--no-preserve=mode", from, to]);
  await run("sync", [to]);
}
