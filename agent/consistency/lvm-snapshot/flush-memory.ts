import { LocalMachine, type Machine } from "../../machine/machine.ts";

/** Applications that hooks prepared wait meanwhile. */
const PATIENT = new LocalMachine({ answerLimitMs: 60_000 });

/**
 * Writes to the disks what programs wrote and still waits in memory. Returns whether all of it was written.
 * That is of every file system and device, not only of those that can be seen: one may be mounted for a
 * container, under another one, or in a file of another one, or a program may write to a volume directly.
 */
export async function flushMemory(machine: Pick<Machine, "run"> = PATIENT): Promise<boolean> {
  const flushed = await machine.run("sync");
  return flushed?.status === 0;
}
