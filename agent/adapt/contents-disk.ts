import { createReadStream, createWriteStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { GuestDisk } from "../hypervisor/guest.ts";
import type { FileChange } from "./messages.ts";

/** No program takes what follows, or comes before, for a disk's label: it has zeros at either end. */
const EDGE_BYTES = 2 ** 20;
const SECTOR_BYTES = 512;

/** A disk with the new contents of files, from which a guest reads them much faster than from its channel. */
export interface ContentsDisk extends GuestDisk {
  /** In bytes, of each content by its SHA-256. */
  offsets: ReadonlyMap<string, number>;
}

/**
 * What `use` makes of the disk with the contents of these changes, which are in `contentsDir`, each in a file
 * with its SHA-256 as its name. The disk is in `workDir` until `use` ends.
 */
export async function withContentsDisk<T>(
  { contentsDir, workDir }: { contentsDir: string; workDir: string },
  changes: readonly FileChange[],
  use: (disk: ContentsDisk) => Promise<T>,
): Promise<T> {
  const path = join(workDir, "adapted-files.raw");
  const offsets = new Map<string, number>();
  let end = EDGE_BYTES;
  try {
    await (await open(path, "w", 0o600)).close();
    for (const { after } of changes) {
      if (!after || offsets.has(after.sha256)) continue;
      offsets.set(after.sha256, end);
      const content = createReadStream(join(contentsDir, after.sha256));
      await pipeline(content, createWriteStream(path, { flags: "r+", start: end }));
      end += Math.ceil(after.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
    }
    const file = await open(path, "r+");
    await file.truncate(end + EDGE_BYTES).finally(() => file.close());
    return await use({ path, format: "raw", offsets });
  } finally {
    await rm(path, { force: true });
  }
}
