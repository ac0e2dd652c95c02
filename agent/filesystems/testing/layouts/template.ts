import { readFile } from "node:fs/promises";
import { type Extent, normalize, subtract } from "#shared/domain/extents.ts";
import { tool, toolBytes } from "../test-image.ts";

/** How the file system's own tools check the content of a copy. */
export type Checker = "ext" | "xfs" | "ntfs" | "exfat" | "mountable" | "none";

/** A volume that a real tool made, ready to be written anywhere, and what that tool says about its use. */
export interface Template {
  name: string;
  sizeBytes: number;
  /** What must not be lost. */
  used: Extent[];
  /** The bytes of `used`, which are written. Between them the old content stays. */
  parts: { offset: number; bytes: Buffer }[];
  checker: Checker;
}

/** The name and the content of the file that each file system holds. */
export const FILE_NAME = "precious";

/** Reads a finished image. `used` comes from the tools of its file system, not from the code under test. */
export async function toTemplate(
  name: string,
  image: string,
  checker: Checker,
  used: Extent[] | "everything",
): Promise<Template> {
  const bytes = await readFile(image);
  const extents = used === "everything" ? [{ offset: 0, length: bytes.length }] : used;
  const parts = extents.map(({ offset, length }) => ({
    offset,
    bytes: Buffer.from(bytes.subarray(offset, offset + length)),
  }));
  return { name, sizeBytes: bytes.length, used: extents, parts, checker };
}

/**
 * By `dumpe2fs`: all blocks except those in its lists of free ones, which name the first blocks of clusters.
 */
export function extUsed(image: string): Extent[] {
  const report = tool("dumpe2fs", image);
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(report)?.[1]);
  const blockBytes = field("Block size");
  const clusterBlocks = (field("Cluster size") || blockBytes) / blockBytes;
  const free: Extent[] = [];
  for (const [, list = ""] of report.matchAll(/^ {2}Free blocks: (.+)$/gm)) {
    for (const [, first, last] of list.matchAll(/(\d+)(?:-(\d+))?/g)) {
      const start = Number(first);
      const blocks = Number(last ?? first) - start + clusterBlocks;
      free.push({ offset: start * blockBytes, length: blocks * blockBytes });
    }
  }
  return subtract([{ offset: 0, length: field("Block count") * blockBytes }], normalize(free));
}

/** By `xfs_db`: everything except the free extents of each allocation group. */
export function xfsUsed(image: string): Extent[] {
  const superblock = tool("xfs_db", "-r", "-c", "sb 0", "-c", "p blocksize agblocks dblocks", image);
  const field = (name: string) => Number(new RegExp(`^${name} = (\\d+)`, "m").exec(superblock)?.[1]);
  const blockBytes = field("blocksize");
  const free: Extent[] = [];
  const dump = tool("xfs_db", "-r", "-c", "freesp -d", image);
  for (const [, group, block, blocks] of dump.matchAll(/^\s*(\d+)\s+(\d+)\s+(\d+)$/gm)) {
    const start = Number(group) * field("agblocks") + Number(block);
    free.push({ offset: start * blockBytes, length: Number(blocks) * blockBytes });
  }
  return subtract([{ offset: 0, length: field("dblocks") * blockBytes }], normalize(free));
}

/** By `ntfscat`: the set bits of `$Bitmap`. Everything, if `ntfs-3g.probe` calls the volume unclean. */
export async function ntfsUsed(image: string): Promise<Extent[] | "everything"> {
  try {
    tool("ntfs-3g.probe", "--readwrite", image);
  } catch {
    return "everything";
  }
  const boot = await readFile(image);
  const clusterBytes = boot.readUInt16LE(11) * boot.readUInt8(13);
  const clusters = Math.floor((Number(boot.readBigUInt64LE(40)) * boot.readUInt16LE(11)) / clusterBytes);
  const bitmap = toolBytes("ntfscat", image, "$Bitmap");
  // The copy of the boot sector follows the last cluster.
  const end = clusters * clusterBytes;
  const used: Extent[] = [{ offset: end, length: boot.length - end }];
  for (let cluster = 0; cluster < clusters; cluster++) {
    if (((bitmap[cluster >> 3] ?? 0) >> (cluster & 7)) & 1) {
      used.push({ offset: cluster * clusterBytes, length: clusterBytes });
    }
  }
  return normalize(used);
}

/** By `dump.exfat`, of a volume without files: its own structures have its first clusters. */
export function exfatUsed(image: string): Extent[] {
  const report = tool("dump.exfat", image);
  const field = (name: string) => Number(new RegExp(`^${name}[^:]*:\\s*(\\d+)`, "m").exec(report)?.[1]);
  const usedClusters = field("Total Clusters") - field("Free Clusters");
  const end = field("Cluster Heap Offset") * 512 + usedClusters * field("Cluster size");
  return [{ offset: 0, length: end }];
}
