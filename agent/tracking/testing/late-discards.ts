/** For tests: what a copy of a frozen file system may differ in. */
import { tool } from "../../filesystems/testing/test-image.ts";
import { blocksInUse } from "./btrfs-blocks.ts";

/** Of the file systems that these tests make. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** The runs of blocks that a file system in an image calls free, by its own tool: the first, and how many. */
const FREE_RUNS: Readonly<Record<string, (image: string) => [first: number, count: number][]>> = {
  ext4: (image) =>
    [...tool("dumpe2fs", image).matchAll(/^ {2}Free blocks: (.*)$/gm)].flatMap(([, listed = ""]) =>
      [...listed.matchAll(/(\d+)(?:-(\d+))?/g)].map(([, first, last = first]): [number, number] => [
        Number(first),
        Number(last) - Number(first) + 1,
      ]),
    ),
  xfs: (image) => {
    const groupBlocks = Number(
      /\d+/.exec(tool("xfs_db", "-r", "-c", "sb 0", "-c", "p agblocks", image))?.[0],
    );
    return [...tool("xfs_db", "-r", "-c", "freesp -d", image).matchAll(/^ +(\d+) +(\d+) +(\d+)$/gm)].map(
      ([, group, first, count]) => [Number(group) * groupBlocks + Number(first), Number(count)],
    );
  },
};

/**
 * The offsets at which a copy differs from the disk as it was just before its thaw, in blocks of 4 KiB. Of
 * ext4, XFS and btrfs without those that may have been discarded between the last read and then: a freeze
 * does not stop discards. Such a block is all zeros on the disk, and the file system's own tool calls it
 * free. `others`: images of the file system's other disks.
 */
export function differencesBesidesLateDiscards(
  copy: Buffer,
  frozen: { image: string; content: Buffer; fileSystem: string; others?: readonly string[] },
): number[] {
  const { image, content, fileSystem, others = [] } = frozen;
  const differing: number[] = [];
  for (let at = 0; at < content.length; at += BLOCK_BYTES)
    if (copy.compare(content, at, at + BLOCK_BYTES, at, at + BLOCK_BYTES) !== 0) differing.push(at);
  if (differing.length === 0) return differing;
  const isFree = freeBlocks(fileSystem, image, others);
  return differing.filter(
    (at) => !isFree(at / BLOCK_BYTES) || !ZEROS.equals(content.subarray(at, at + BLOCK_BYTES)),
  );
}

function freeBlocks(
  fileSystem: string,
  image: string,
  others: readonly string[],
): (block: number) => boolean {
  if (fileSystem === "btrfs") {
    const used = blocksInUse(image, others);
    return (block) => !used.has(block);
  }
  const runs = FREE_RUNS[fileSystem]?.(image) ?? [];
  return (block) => runs.some(([first, count]) => block >= first && block < first + count);
}
