import { setTimeout as delay } from "node:timers/promises";
import { GuestChannel } from "../browse/guest-channel.ts";
import { openGuestImage } from "../browse/guest-image.ts";
import type { GuestDisk } from "../hypervisor/guest.ts";
import { BootImageMachine } from "../hypervisor/qemu/boot-image-machine.ts";
import { type DiskKey, KEY_MEMORY_MIB } from "./disk-key.ts";

/**
 * Everything that a guest does: it builds the initramfs of a handful of kernels under emulation, or reads
 * what a hostile source has listed, which could be more than a lifetime's.
 */
const MOST_HOURS = 3;
const END_LIMIT_MS = 60_000;

/** On what a guest works. */
export interface CloneGuestOptions {
  /** The folder of a boot image. */
  imageFolder: string;
  disks: readonly GuestDisk[];
  /** Of encrypted volumes; the guest, and so any system in it, gets to see them all. */
  keys?: readonly DiskKey[] | undefined;
  /** Where files without a name are made, as large as what the guest changes. */
  workDir: string;
  signal?: AbortSignal | undefined;
}

/** For what a guest is started. */
interface CloneGuestTask {
  mode: "adapt" | "prove";
  portName: string;
  /** Whether what the guest changes stays on the disks. */
  changes: "kept" | "discarded";
  leastMemoryMiB?: number;
  /** What is thrown if it takes longer than some hours. */
  lateError: (why: string) => Error;
}

/**
 * Starts a guest of a boot image over the disks of a clone, which has no network, and ends it after the work,
 * which talks to it and gets the image's id. Rejects with the signal's reason, the task's `lateError`, and
 * what `GuestChannel` and `openGuestImage` throw.
 */
export async function withCloneGuest<T>(
  { imageFolder, disks, keys = [], workDir, signal }: CloneGuestOptions,
  { mode, portName, changes, leastMemoryMiB = 0, lateError }: CloneGuestTask,
  work: (channel: GuestChannel, imageId: string) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const image = await openGuestImage(imageFolder, mode);
  const machine = await BootImageMachine.start({
    ...image,
    memoryMiB: Math.max(image.memoryMiB, leastMemoryMiB) + (keys.length > 0 ? KEY_MEMORY_MIB : 0),
    cpuCount: 2,
    disks: disks.map(({ path, format }) => ({ kind: "image", path, format, changes })),
    workDir,
    portName,
  });
  const stop = () => void machine.stop();
  const late = AbortSignal.timeout(MOST_HOURS * 3_600_000);
  const either = AbortSignal.any(signal ? [signal, late] : [late]);
  either.addEventListener("abort", stop);
  try {
    // No event follows for a cancel that came while the guest was started.
    signal?.throwIfAborted();
    const result = await work(new GuestChannel(machine), image.id);
    // The guest has flushed its disks; QEMU has more time to close the images.
    if (changes === "kept")
      await Promise.race([machine.ended, delay(END_LIMIT_MS, undefined, { ref: false })]);
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) throw lateError(`it took longer than ${MOST_HOURS} hours`);
    throw error;
  } finally {
    either.removeEventListener("abort", stop);
    await machine.stop();
  }
}
