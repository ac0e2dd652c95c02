import { markExt4Used } from "../ext4-usage.ts";
import type { FileSystem } from "../file-system.ts";
import { describeExt } from "../signatures/describe.ts";
import { hex, KIB, start } from "../signatures/signature.ts";

/** ext2, ext3 and ext4, which share a superblock. */
export const ext: FileSystem = {
  signatures: [
    {
      type: "ext4",
      at: start(KIB),
      magicAt: 0x38,
      magic: hex("53ef"),
      // No blocks are larger than 64 KiB.
      check: (superblock) => superblock.readUInt32LE(0x18) <= 6,
      describe: describeExt,
    },
  ],
  types: ["ext2", "ext3", "ext4"],
  markUsed: markExt4Used,
  bootImage: {
    modules: ["ext4"],
    packages: ["e2fsprogs", "libext2fs2", "libss2"],
    programs: [
      ...["/sbin/e2fsck", "/sbin/tune2fs", "/sbin/resize2fs", "/sbin/dumpe2fs", "/sbin/debugfs"],
      ...["/usr/bin/chattr", "/usr/bin/lsattr"],
    ],
    links: {
      "usr/sbin/fsck.ext2": "e2fsck",
      "usr/sbin/fsck.ext3": "e2fsck",
      "usr/sbin/fsck.ext4": "e2fsck",
    },
  },
  readOnlyMount: { type: "ext4", options: ["noload"] },
  writableMount: { type: "ext4", options: [] },
  provingMount: { type: "ext4", options: [] },
  grubModule: "ext2",
};
