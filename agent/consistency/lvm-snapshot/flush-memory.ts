import { flushFileSystems } from "../../machine/boot-machine.ts";
import { LocalMachine, type Machine } from "../../machine/machine.ts";
import type { DeviceTree } from "../pre-copy/volumes-to-freeze.ts";

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

/**
 * Writes out what waits in memory for file systems that are mounted on these devices. Throws
 * `BootFilesNotFlushedError` if some of it may not be on the disk.
 */
export async function flushMounted(
  devices: ReadonlySet<string>,
  { mounts }: Pick<DeviceTree, "mounts">,
  machine: Pick<Machine, "run"> = PATIENT,
): Promise<void> {
  const paths = mounts.filter(({ device }) => devices.has(device)).map(({ mountPoint }) => mountPoint);
  if (paths.length > 0) await flushFileSystems(machine, paths);
}
