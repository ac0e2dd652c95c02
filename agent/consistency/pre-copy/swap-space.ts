import { readFile } from "node:fs/promises";
import { BlockSet } from "#shared/domain/block-set.ts";
import { type Extent, subtract } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { parseSwaps } from "../../machine/mounts.ts";
import type { DeviceTree } from "./volumes-to-freeze.ts";

const SECTOR_BYTES = 512;
/** The header of swap space, with its label and UUID, is its first page. */
const HEADER_BYTES = 4096;

/** The devices that are in use as swap space, by their numbers in /sys. */
export async function swapDevices(tree: DeviceTree): Promise<string[]> {
  const paths = parseSwaps(await readFile("/proc/swaps", "utf8").catch(() => ""));
  return (await Promise.all(paths.map((path) => tree.numberOf(path)))).filter((one) => one !== undefined);
}

/**
 * The parts of a disk that are the content of swap partitions in use, in whole blocks. A restarted system
 * reads nothing of it but the header, which is not among them. Swap space in files or on logical volumes is
 * copied like other data.
 */
export async function findSwapSpace(tree: DeviceTree, disk: string, sizeBytes: number): Promise<Extent[]> {
  const found: Extent[] = [];
  for (const device of await swapDevices(tree)) {
    const about = await tree.describe(device);
    if (about?.partition?.disk !== disk) continue;
    const start = (await sectors(`/sys/dev/block/${device}/start`)) * SECTOR_BYTES;
    const length = (await sectors(`/sys/dev/block/${device}/size`)) * SECTOR_BYTES;
    const inside = wholeBlocks(start + HEADER_BYTES, Math.min(start + length, sizeBytes));
    if (inside) found.push(inside);
  }
  return found.sort((a, b) => a.offset - b.offset);
}

/** What of swap space at these places of a disk is content, in whole blocks: everything but its header. */
export function swapContent(
  segments: readonly { offset: number; length: number; volumeOffset: number }[],
): Extent[] {
  return segments.flatMap(({ offset, length, volumeOffset }) => {
    const header = Math.min(length, Math.max(0, HEADER_BYTES - volumeOffset));
    return wholeBlocks(offset + header, offset + length) ?? [];
  });
}

function wholeBlocks(start: number, end: number): Extent | undefined {
  const first = Math.ceil(start / BLOCK_BYTES) * BLOCK_BYTES;
  const after = Math.floor(end / BLOCK_BYTES) * BLOCK_BYTES;
  return after > first ? { offset: first, length: after - first } : undefined;
}

/** All blocks of a disk but those in these parts. */
export function blocksOutside(sizeBytes: number, leftOut: readonly Extent[]): BlockSet {
  const used = new BlockSet(sizeBytes, BLOCK_BYTES);
  for (const { offset, length } of subtract([{ offset: 0, length: sizeBytes }], [...leftOut]))
    used.add(offset, length);
  return used;
}

async function sectors(path: string): Promise<number> {
  return Number(await readFile(path, "utf8"));
}
