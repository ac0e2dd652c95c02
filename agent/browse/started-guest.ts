import {
  BootImageMachine,
  type BootImageMachineOptions,
  type SavedState,
} from "../hypervisor/qemu/boot-image-machine.ts";
import { GuestChannel } from "./guest-channel.ts";

/** A guest that has its disks. */
export interface StartedGuest {
  machine: BootImageMachine;
  channel: GuestChannel;
}

export type StartedGuestOptions = Omit<BootImageMachineOptions, "state">;

/** What a guest resumes from, and how long it may take until it has its disks. */
interface SavedGuest {
  state: SavedState;
  limitMs: number;
}

/**
 * Starts a guest, from its beginning or from a saved state. Throws what `BootImageMachine.start` and
 * `GuestChannel` throw, and the signal's reason.
 */
export async function startGuest(
  options: StartedGuestOptions,
  signal: AbortSignal,
  saved?: SavedGuest,
): Promise<StartedGuest> {
  signal.throwIfAborted();
  const machine = await BootImageMachine.start({ ...options, state: saved?.state });
  return stopOnFailure(machine, signal, async () => {
    const channel = new GuestChannel(machine);
    if (!saved) await channel.waits();
    await channel.begin(saved?.limitMs);
    return { machine, channel };
  });
}

/**
 * Does work with a machine, and stops the machine as soon as the signal aborts or the work fails. Rejects
 * with the signal's reason, or with what the work rejects with.
 */
export async function stopOnFailure<T>(
  machine: Pick<BootImageMachine, "stop">,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const stop = () => void machine.stop();
  signal.addEventListener("abort", stop);
  try {
    // No event follows for an abort that came before.
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    await machine.stop();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
