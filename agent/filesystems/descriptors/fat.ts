import type { FileSystem } from "../file-system.ts";
import { describeFat } from "../signatures/describe.ts";
import { isPowerOfTwo, start } from "../signatures/signature.ts";

/** FAT12, FAT16 and FAT32: EFI system partitions. */
export const fat: FileSystem = {
  signatures: [{ type: "vfat", at: start(0), check: isFat, describe: describeFat }],
  bootImage: {
    // Without the tables of names, the kernel refuses the mount.
    modules: ["vfat", "nls_ascii", "nls_cp437", "nls_iso8859_1", "nls_utf8"],
  },
  readOnlyMount: { type: "vfat", options: ["utf8=1"] },
  writableMount: { type: "vfat", options: ["utf8=1"] },
  grubModule: "fat",
};

/**
 * Judged by the boot sector's fields, for the magic is optional. The same sector of NTFS and exFAT has zeros
 * there.
 */
export function isFat(sector: Buffer): boolean {
  const sectorBytes = sector.readUInt16LE(11);
  const media = sector.readUInt8(21);
  const hasTable = sector.readUInt16LE(22) !== 0 || sector.readUInt32LE(36) !== 0;
  return (
    sector.readUInt16LE(510) === 0xaa55 &&
    [512, 1024, 2048, 4096].includes(sectorBytes) &&
    isPowerOfTwo(sector.readUInt8(13)) &&
    sector.readUInt16LE(14) !== 0 &&
    [1, 2].includes(sector.readUInt8(16)) &&
    (media === 0xf0 || media >= 0xf8) &&
    hasTable &&
    // OS/2 gave its own file systems such a sector too.
    !["JFS     ", "HPFS    "].includes(sector.toString("latin1", 54, 62))
  );
}
