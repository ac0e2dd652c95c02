/** For tests: which blocks of its disks a btrfs uses, by its own tool. */
import { tool } from "../../filesystems/testing/test-image.ts";

const BLOCK_BYTES = 4096;
/** Where a disk's copies of the super block are, below 256 GiB. */
const SUPER_BLOCKS = [2 ** 16, 2 ** 26].map((offset) => offset / BLOCK_BYTES);
const CHUNK =
  /CHUNK_ITEM (\d+)\).*\n\s+length (\d+) .* stripe_len (\d+) type (\S+)\n.*\n.*\n((?:\s+(?:stripe|dev_uuid) .*\n)+)/g;
const STRIPE = /stripe \d+ devid (\d+) offset (\d+)/g;
const EXTENT = /key \((\d+) (EXTENT|METADATA)_ITEM (\d+)\)/g;
/** Of which every copy has each byte. */
const COPIES = /\|(RAID1|DUP)$/;

interface Chunk {
  start: number;
  bytes: number;
  stripeBytes: number;
  hasCopies: boolean;
  stripes: { device: number; offset: number }[];
}

/**
 * The numbers of the blocks of 4 KiB in which a btrfs has something, on the disk of an image. `others`: the
 * images of its other disks. Nothing may write to them. It may be RAID 0, RAID 1, DUP or single.
 */
export function blocksInUse(image: string, others: readonly string[]): Set<number> {
  const dump = (tree: string) =>
    tool("btrfs", "inspect-internal", "dump-tree", "--noscan", "-t", tree, image, ...others);
  const superBlock = tool("btrfs", "inspect-internal", "dump-super", image);
  const device = numberIn(superBlock, /^dev_item\.devid\s+(\d+)$/m);
  const nodeBytes = numberIn(superBlock, /^nodesize\s+(\d+)$/m);
  const chunks = [...dump("chunk").matchAll(CHUNK)].map(chunkOf);
  const used = new Set(SUPER_BLOCKS);
  for (const [, start, kind, length] of dump("extent").matchAll(EXTENT)) {
    const end = Number(start) + (kind === "METADATA" ? nodeBytes : Number(length));
    for (let at = Number(start); at < end; at += BLOCK_BYTES)
      for (const place of placesOf(at, chunks))
        if (place.device === device) used.add(place.offset / BLOCK_BYTES);
  }
  return used;
}

function chunkOf([, start, bytes, stripeBytes, type = "", stripes = ""]: RegExpMatchArray): Chunk {
  return {
    ...{ start: Number(start), bytes: Number(bytes), stripeBytes: Number(stripeBytes) },
    hasCopies: COPIES.test(type),
    stripes: [...stripes.matchAll(STRIPE)].map(([, device, offset]) => ({
      ...{ device: Number(device), offset: Number(offset) },
    })),
  };
}

/** Where the bytes of an address are, on each disk that has them. */
function placesOf(address: number, chunks: readonly Chunk[]): { device: number; offset: number }[] {
  const chunk = chunks.find(({ start, bytes }) => address >= start && address < start + bytes);
  if (!chunk) throw new Error(`no chunk has the address ${address}`);
  const { stripes, stripeBytes, hasCopies } = chunk;
  const within = address - chunk.start;
  if (hasCopies) return stripes.map(({ device, offset }) => ({ device, offset: offset + within }));
  const row = Math.floor(within / stripeBytes);
  const before = Math.floor(row / stripes.length) * stripeBytes + (within % stripeBytes);
  return stripes
    .filter((_, index) => index === row % stripes.length)
    .map(({ device, offset }) => ({ device, offset: offset + before }));
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`there is no ${pattern} in ${text}`);
  return Number(found);
}
