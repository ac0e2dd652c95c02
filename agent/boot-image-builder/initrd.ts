import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { type ArchiveEntry, writeArchive } from "../boot-image/cpio.ts";

const compress = promisify(zstdCompress);

/** Level 19 saves an eighth of the size and takes twenty times as long; a build must not take minutes. */
const LEVEL = 9;
const ALIGNMENT_BYTES = 512;

/**
 * The initial RAM disk: archives that are compressed in parallel, and that the kernel unpacks one after the
 * other. Ends at a multiple of 512 bytes, so an archive can be appended as it is.
 */
export async function writeInitrd(
  parts: readonly ArchiveEntry[][],
  modifiedSeconds: number,
): Promise<Buffer> {
  const archives = await Promise.all(
    parts.map((entries) => compressed(writeArchive(entries, modifiedSeconds))),
  );
  const lengthBytes = archives.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([...archives, Buffer.alloc(-lengthBytes & (ALIGNMENT_BYTES - 1))]);
}

/** A file of the image as it is stored. */
export function compressed(bytes: Buffer): Promise<Buffer> {
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 };
  return compress(bytes, { params });
}
