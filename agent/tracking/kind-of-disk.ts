/** The block layer's events that see every write of a disk. `nvme-paths`: requests of its hidden paths. */
export type TrackedEvents = "request" | "bio" | "nvme-paths";

/** What /sys says of a whole disk. */
export interface DiskFacts {
  /** As in /sys/block. */
  kernelName: string;
  isPartition: boolean;
  /** Whether the disk has the folder `mq`: then it works with requests. */
  hasRequests: boolean;
  /** Hidden paths of an NVMe disk, such as `nvme0c0n1`. */
  nvmePaths: readonly string[];
  /** Whether device mapper joins it with other paths to the same disk, which writes may take. */
  isPathOfMultipath: boolean;
  /** Whether its zones are written in order (`queue/zoned` is not `none`). */
  isZoned: boolean;
}

export type KindOfDisk = { events: TrackedEvents } | { untracked: string };

/** Bio-based disks for which the events were tried. */
const PROVED_WITH_BIOS = /^zram\d+$/;

/** The events that see every write of this disk, or why none surely do. Only kinds that were tried count. */
export function kindOfDisk(facts: DiskFacts): KindOfDisk {
  if (facts.isPartition) return { untracked: "it is a partition, and only whole disks are tracked" };
  if (facts.isPathOfMultipath) return { untracked: "it has several paths, and each write takes one of them" };
  if (facts.isZoned) return { untracked: "its zones are written in order, which was not tried" };
  if (facts.hasRequests) return { events: "request" };
  if (facts.nvmePaths.length > 0) return { events: "nvme-paths" };
  if (PROVED_WITH_BIOS.test(facts.kernelName)) return { events: "bio" };
  return {
    untracked: `the writes of ${facts.kernelName} do not become requests, and its kind was not tried`,
  };
}
