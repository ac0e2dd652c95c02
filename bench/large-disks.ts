import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { captureUsed, causeway } from "./causeway.ts";
import { runProcess } from "./run-process.ts";

/** Measures the capture of disks that need much memory rather than much time. */
export interface LargeDisk {
  name: string;
  peakMiB: number;
  wallSeconds: number;
}

const GIB = 1024 ** 3;
const TIB = 1024 ** 4;

const DISKS: readonly { name: string; make: (image: string) => Promise<void> }[] = [
  { name: "ext4 of 34 GiB in 4.4 million fragments", make: makeFragmented },
  { name: "xfs of 15 TiB, almost empty", make: makeHuge },
];

/** Captures the used blocks of disks that are mostly holes, each in a separate process. */
export async function measureLargeDisks(cache: string): Promise<LargeDisk[]> {
  const measured: LargeDisk[] = [];
  for (const { name, make } of DISKS) {
    const folder = await mkdtemp(join(cache, "large-disk-"));
    try {
      console.error(`memory: ${name}`);
      const image = join(folder, "image");
      await writeFile(image, "");
      await make(image);
      const { peakMiB, wallSeconds } = await captureUsed(image, folder);
      measured.push({ name, peakMiB, wallSeconds });
    } finally {
      await causeway.close?.(folder);
      await rm(folder, { recursive: true, force: true });
    }
  }
  return measured;
}

async function makeHuge(image: string): Promise<void> {
  await truncate(image, 15 * TIB);
  // A small log, because mkfs writes zeros over the whole log.
  await runProcess("mkfs.xfs", ["-q", "-K", "-l", "size=64m", image]);
}

/** Every second block is in use. Without checksums, so that only bitmaps and counts need to change. */
async function makeFragmented(image: string): Promise<void> {
  await truncate(image, 34 * GIB);
  const features = "^has_journal,^metadata_csum,^uninit_bg,^resize_inode,^64bit,^flex_bg";
  await runProcess("mke2fs", ["-q", "-F", "-t", "ext4", "-b", "4096", "-N", "16384", "-O", features, image]);
  const [blockBytes, descriptorBytes, firstFreeCount] = [4096, 32, 12];
  const file = await open(image, "r+");
  try {
    const superblock = Buffer.alloc(1024);
    await file.read(superblock, 0, superblock.length, 1024);
    const blocks = superblock.readUInt32LE(4);
    const blocksPerGroup = superblock.readUInt32LE(32);
    const table = Buffer.alloc(Math.ceil(blocks / blocksPerGroup) * descriptorBytes);
    await file.read(table, 0, table.length, blockBytes);
    let freeBlocks = 0;
    for (let at = 0; at < table.length; at += descriptorBytes) {
      const bitmap = Buffer.alloc(blockBytes);
      await file.read(bitmap, 0, blockBytes, table.readUInt32LE(at) * blockBytes);
      let free = 0;
      for (let byte = 0; byte < bitmap.length; byte++) {
        bitmap[byte] = (bitmap[byte] ?? 0) | 0x55;
        for (let rest = ~(bitmap[byte] ?? 0) & 0xff; rest > 0; rest &= rest - 1) free++;
      }
      await file.write(bitmap, 0, blockBytes, table.readUInt32LE(at) * blockBytes);
      table.writeUInt16LE(free, at + firstFreeCount);
      freeBlocks += free;
    }
    await file.write(table, 0, table.length, blockBytes);
    superblock.writeUInt32LE(freeBlocks, 12);
    await file.write(superblock, 0, superblock.length, 1024);
  } finally {
    await file.close();
  }
}
