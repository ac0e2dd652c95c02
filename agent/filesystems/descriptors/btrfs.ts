import type { FileSystem } from "../file-system.ts";
import { describeBtrfs } from "../signatures/describe.ts";
import { GIB, KIB, MIB, start, text } from "../signatures/signature.ts";

export const btrfs: FileSystem = {
  signatures: [
    { type: "btrfs", at: start(64 * KIB), magicAt: 64, magic: text("_BHRfS_M"), describe: describeBtrfs },
    {
      // The copies of the superblock.
      type: "btrfs",
      at: start(64 * MIB, 256 * GIB),
      magicAt: 64,
      magic: text("_BHRfS_M"),
      check: (superblock, { offset }) => superblock.readBigUInt64LE(48) === BigInt(offset),
      describe: describeBtrfs,
    },
  ],
  bootImage: { modules: ["btrfs"], packages: ["btrfs-progs", "liblzo2-2"], programs: ["/bin/btrfs"] },
  readOnlyMount: { type: "btrfs", options: ["rescue=nologreplay"] },
  writableMount: { type: "btrfs", options: [] },
  provingMount: { type: "btrfs", options: ["subvolid=5"] },
};
