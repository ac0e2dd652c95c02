import { setTimeout as delay } from "node:timers/promises";
import type { GuestChannel } from "../browse/guest-channel.ts";
import { openGuestImage } from "../browse/guest-image.ts";
import type { SavedStarts } from "../browse/saved-starts.ts";
import { startGuest, stopOnFailure } from "../browse/started-guest.ts";
import type { GuestDisk } from "../hypervisor/guest.ts";
import type { MachineDisk } from "../hypervisor/qemu/boot-image-machine.ts";
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
  /** Without them, the guest starts from the beginning. */
  savedStarts?: Pick<SavedStarts, "start"> | undefined;
  signal?: AbortSignal | undefined;
}

/** For what a guest is started. */
interface CloneGuestTask {
  mode: "adapt" | "prove";
  portName: string;
  /** Whether what the guest changes stays on the disks. */
  changes: "kept" | "discarded";
  /** Disks that the guest gets after those of the clone; what it changes of them is discarded. */
  readDisks?: readonly GuestDisk[];
  leastMemoryMiB?: number;
  /** What is thrown if it takes longer than some hours, from its start to its end. */
  lateError: (why: string) => Error;
}

/**
 * Starts a guest of a boot image over the disks of a clone, which has no network, and ends it after the work,
 * which talks to it and gets the image's id. Rejects with the signal's reason, the task's `lateError`, and
 * what `GuestChannel` and `openGuestImage` throw.
 */
export async function withCloneGuest<T>(
  { imageFolder, disks, keys = [], workDir, savedStarts, signal }: CloneGuestOptions,
  { mode, portName, changes, readDisks = [], leastMemoryMiB = 0, lateError }: CloneGuestTask,
  work: (channel: GuestChannel, imageId: string) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const { id: imageId, ...image } = await openGuestImage(imageFolder, mode);
  const options = {
    ...image,
    memoryMiB: Math.max(image.memoryMiB, leastMemoryMiB) + (keys.length > 0 ? KEY_MEMORY_MIB : 0),
    cpuCount: 2,
    disks: [...imagesOf(disks, changes), ...imagesOf(readDisks, "discarded")],
    workDir,
    portName,
  };
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(lateError(`it took longer than ${MOST_HOURS} hours`));
  }, MOST_HOURS * 3_600_000);
  const either = AbortSignal.any([...(signal ? [signal] : []), late.signal]);
  try {
    const { machine, channel } = await (savedStarts?.start({ ...options, imageId }, either) ??
      startGuest(options, either));
    const result = await stopOnFailure(machine, either, async () => {
      const done = await work(channel, imageId);
      // The guest has flushed its disks; QEMU has more time to close the images.
      if (changes === "kept")
        await Promise.race([machine.ended, delay(END_LIMIT_MS, undefined, { ref: false })]);
      return done;
    });
    await machine.stop();
    return result;
  } finally {
    clearTimeout(timer);
  }
}

function imagesOf(disks: readonly GuestDisk[], changes: CloneGuestTask["changes"]): MachineDisk[] {
  return disks.map(({ path, format }) => ({ kind: "image", path, format, changes }));
}
