import { ESP_TYPE } from "#shared/domain/boot-hardware.ts";
import { BootDiskUnknownError } from "#shared/errors.ts";
import { openDiskImage } from "../disk-image/disk-image.ts";
import { hasBootCode } from "../filesystems/mbr.ts";
import { readPartitionTable } from "../filesystems/partition-table.ts";
import type { GuestDisk } from "./guest.ts";

/** As an MBR has it. */
const ESP_MBR_TYPE = "0xef";

type Firmware = "bios" | "uefi";

/**
 * The disks, with those first that a BIOS can start, because it tries only the first one. Their given order
 * means nothing: a kernel names disks in the order in which it finds them, which can differ at each start.
 */
export async function startableFirst(disks: readonly GuestDisk[]): Promise<GuestDisk[]> {
  // The hypervisor reports why one cannot be read.
  const startable = await Promise.all(disks.map((disk) => isStartable(disk, "bios").catch(() => false)));
  return [...disks.filter((_, index) => startable[index]), ...disks.filter((_, index) => !startable[index])];
}

/** The names of the disks that a firmware of this kind can start. */
export async function startableDisks(
  disks: readonly (GuestDisk & { name: string })[],
  firmware: Firmware,
): Promise<string[]> {
  const startable = await Promise.all(disks.map((disk) => isStartable(disk, firmware)));
  return disks.flatMap(({ name }, index) => (startable[index] ? [name] : []));
}

async function isStartable({ path, format }: GuestDisk, firmware: Firmware): Promise<boolean> {
  const reader = await openDiskImage(path, format);
  try {
    if (firmware === "bios") return await hasBootCode(reader);
    const { partitions } = await readPartitionTable(reader);
    return partitions.some(({ type }) => type === ESP_TYPE || type === ESP_MBR_TYPE);
  } finally {
    await reader.close();
  }
}

export interface BootDiskFacts {
  /** All disks of the machine. */
  disks: readonly string[];
  /** The operator's choice. */
  named?: string | undefined;
  /** Where the source's own mounts lead; see `systemDisks`. */
  systemDisks: readonly string[];
  /** What a firmware of the machine's kind can start. */
  startable: readonly string[];
}

/**
 * The disk that the firmware is to start, with the reason in words. The source's mounts decide, because old
 * boot code on a data disk looks like any other. Throws `BootDiskUnknownError`.
 */
export function chooseBootDisk(facts: BootDiskFacts): { disk: string; reason: string } {
  const { disks, named, systemDisks, startable } = facts;
  if (named !== undefined) {
    if (!disks.includes(named)) throw new BootDiskUnknownError(`there is no disk ${named}`);
    return { disk: named, reason: "it was named" };
  }
  const [only, ...others] = disks;
  if (only !== undefined && others.length === 0) return { disk: only, reason: "it is the only disk" };
  const [system, ...copies] = systemDisks.filter((name) => startable.includes(name));
  if (system !== undefined)
    return {
      disk: system,
      reason:
        copies.length === 0
          ? "the source's system started from it"
          : `the source's system is on it, and also on ${copies.join(", ")}`,
    };
  const [first, ...more] = startable;
  if (first === undefined) throw new BootDiskUnknownError("the firmware can start none of them");
  if (more.length > 0)
    throw new BootDiskUnknownError(
      `the firmware can start ${startable.join(", ")}, and the source does not show which of them it started`,
    );
  return { disk: first, reason: "the firmware can start no other disk" };
}
