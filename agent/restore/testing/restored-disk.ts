/** For tests: what a restore of one disk writes. */
import type { MappedDisk } from "#shared/format/point.ts";
import type { Repository } from "../../repository/repository.ts";
import { restoreDisk } from "../restore.ts";

export async function restoredDisk(repository: Repository, disk: MappedDisk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.sizeBytes);
  await restoreDisk({ repository, disk, sink: { write: async (at, part) => void bytes.set(part, at) } });
  return bytes;
}
