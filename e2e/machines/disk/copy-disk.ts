import { run } from "./command.ts";

/**
 * Copies a disk image with its holes. The copy is durable when this resolves. Otherwise the next small
 * durable write of any program would wait for the whole copy.
 */
export async function copyDisk(from: string, to: string): Promise<void> {
  await run("cp", ["--sparse=always", "--no-preserve=mode", from, to]);
  await run("sync", [to]);
}
