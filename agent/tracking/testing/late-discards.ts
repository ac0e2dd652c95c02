/** For tests: what a copy of a frozen file system may differ in. */
import { tool } from "../../filesystems/testing/test-image.ts";

/** Of the file systems that these tests make. */
const BLOCK_BYTES = 4096;

/**
 * The offsets at which a copy differs from the disk as it was just before its thaw, in blocks of 4 KiB. Of
 * ext4 without those that may have been discarded between the last read and then: a freeze does not stop
 * discards. Such a block is all zeros on the disk, and ext4's own tool calls it free.
 */
export function differencesBesidesLateDiscards(
  copy: Buffer,
  { image, content, fileSystem }: { image: string; content: Buffer; fileSystem: string },
): number[] {
  const differing: number[] = [];
  for (let at = 0; at < content.length; at += BLOCK_BYTES)
    if (copy.compare(content, at, at + BLOCK_BYTES, at, at + BLOCK_BYTES) !== 0) differing.push(at);
  if (differing.length === 0 || fileSystem !== "ext4") return differing;
  const free = freeBlocksOf(image);
  return differing.filter(
    (at) => !(isZero(content.subarray(at, at + BLOCK_BYTES)) && free(at / BLOCK_BYTES)),
  );
}

function freeBlocksOf(image: string): (block: number) => boolean {
  const ranges = [...tool("dumpe2fs", image).matchAll(/^ {2}Free blocks: (.*)$/gm)].flatMap(
    ([, listed = ""]) => listed.split(", ").map((range) => range.split("-").map(Number)),
  );
  return (block) => ranges.some(([first = 0, last = first]) => block >= first && block <= last);
}

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);
