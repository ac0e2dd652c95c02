import { readFile, statfs } from "node:fs/promises";
import type { GuestStarter } from "./guest.ts";

const MIB = 2 ** 20;
/** No system can start its services with less than this. */
const MIN_OVERLAY_BYTES = 64 * MIB;

export interface Room {
  freeMemoryBytes: number;
  freeDiskBytes: number;
}

/** What this host has left: memory without swapping, and the storage that holds `folder`. */
export async function hostRoom(folder: string): Promise<Room> {
  const [memory, { bavail, bsize }] = await Promise.all([readFile("/proc/meminfo", "utf8"), statfs(folder)]);
  const kib = Number(/^MemAvailable:\s*(\d+) kB/m.exec(memory)?.[1] ?? 0);
  return { freeMemoryBytes: kib * 1024, freeDiskBytes: bavail * bsize };
}

/**
 * How much a guest may write to each of its disks: together at most half of the free storage, so that a boot
 * check never fills it. Or, as text for the operator, what is lacking.
 */
export function allot(
  { freeMemoryBytes, freeDiskBytes }: Room,
  wanted: { memoryMiB: number; disks: number; overlayBytes: number },
  { name, overheadMiB }: Pick<GuestStarter, "name" | "overheadMiB">,
): { overlayBytes: number } | { lacking: string } {
  const freeMiB = Math.floor(freeMemoryBytes / MIB);
  if (freeMiB < wanted.memoryMiB + overheadMiB) {
    const needed = `the guest needs ${wanted.memoryMiB} MiB of memory, and ${name} ${overheadMiB} MiB`;
    return { lacking: `${needed}; this host has ${freeMiB} MiB free` };
  }
  if (wanted.disks === 0) return { overlayBytes: 0 };
  const share = Math.floor(freeDiskBytes / 2 / wanted.disks);
  if (share < MIN_OVERLAY_BYTES) {
    const needed = `what the guest writes needs ${(2 * wanted.disks * MIN_OVERLAY_BYTES) / MIB} MiB`;
    return {
      lacking: `${needed} on the images' storage; it has ${Math.floor(freeDiskBytes / MIB)} MiB free`,
    };
  }
  return { overlayBytes: Math.min(wanted.overlayBytes, share) };
}
