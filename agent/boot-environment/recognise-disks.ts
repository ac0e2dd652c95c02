import type { DiskMark } from "../remote-cold/job.ts";

export interface SeenDisk extends DiskMark {
  path: string;
}

/**
 * The disks of a job among those that this system sees, which may give them other names: by the identifier of the partition table, else by
 * serial number, always with the size. Those that are not found, or not told apart, are missing from the result: a wrong disk is worse than none.
 */
export function recogniseDisks(
  wanted: readonly DiskMark[],
  seen: readonly SeenDisk[],
): { name: string; path: string }[] {
  return wanted.flatMap((mark) => {
    const sameSize = seen.filter(({ sizeBytes }) => sizeBytes === mark.sizeBytes);
    const byTable = mark.partitionTableUuid
      ? sameSize.filter((disk) => disk.partitionTableUuid === mark.partitionTableUuid)
      : [];
    const bySerial = mark.serial ? sameSize.filter((disk) => disk.serial === mark.serial) : [];
    // A cloned disk has its original's table: only the serial number tells them apart then.
    const both = byTable.filter((disk) => bySerial.includes(disk));
    const [match, ...others] = both.length > 0 ? both : byTable.length > 0 ? byTable : bySerial;
    return match && others.length === 0 ? [{ name: mark.name, path: match.path }] : [];
  });
}
