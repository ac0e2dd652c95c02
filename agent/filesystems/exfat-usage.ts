import type { DiskReader } from "../disk/reader.ts";
import { markSetBits } from "./bitmap.ts";
import { doubt } from "./doubt.ts";
import { type FolderItem, readExfatFolder } from "./exfat-folder.ts";
import { type ClusterRun, ExfatVolume } from "./exfat-volume.ts";
import type { MarkUsed } from "./mark-used.ts";

/**
 * Marks what an exFAT file system uses of its volume: the set bits of its map of used clusters, and what is
 * before its first and after its last cluster. Nothing protects that map, and pulled sticks have wrong ones,
 * so all folders are read: a cluster of any file must be in the map. Throws `DoubtError` if one is not, if
 * the volume was not unmounted cleanly, and for anything unusual. A mounted one to which nothing was written
 * lately is not marked as dirty.
 */
export async function markExfatUsed(reader: DiskReader, mark: MarkUsed): Promise<void> {
  const volume = await ExfatVolume.open(reader);
  const { clusters, clusterBytes } = volume;
  const claims = new Claims(clusters);
  const root = await readExfatFolder(volume, volume.root, (run) => claims.add(run));
  const bitmap = await structureIn(root, "map of used clusters", volume);
  claims.add(bitmap);
  claims.add(await structureIn(root, "table of letters", volume));
  const mapBytes = Math.ceil(clusters / 8);
  if (mapBytes > bitmap.count * clusterBytes) doubt("its map of used clusters is too short");
  const map = await volume.read(volume.offsetOf(bitmap.first), mapBytes);
  await claimFiles(volume, root, claims);
  claims.requireWithin(map);
  mark(0, volume.offsetOf(0));
  markSetBits(mark, map, { bits: clusters, offset: volume.offsetOf(0), unitBytes: clusterBytes });
  const end = volume.offsetOf(clusters);
  mark(end, reader.sizeBytes - end);
}

/** Linux reads these structures as if their clusters followed each other, others follow the links. */
async function structureIn(
  root: readonly FolderItem[],
  kind: FolderItem["kind"],
  volume: ExfatVolume,
): Promise<ClusterRun> {
  const [found, ...more] = root.filter((item) => item.kind === kind);
  if (!found || more.length > 0) return doubt(`its ${kind} is not in exactly one place`);
  let only: ClusterRun | undefined;
  for await (const run of volume.runsOf(found.allocation)) {
    if (only || run.count === 0) doubt(`its ${kind} is in pieces`);
    only = run;
  }
  return only ?? doubt(`its ${kind} has no clusters`);
}

async function claimFiles(volume: ExfatVolume, root: readonly FolderItem[], claims: Claims): Promise<void> {
  const left = root.filter(({ kind }) => kind === "file" || kind === "folder");
  for (let item = left.pop(); item; item = left.pop()) {
    if (item.kind === "folder")
      left.push(...(await readExfatFolder(volume, item.allocation, (run) => claims.add(run))));
    else if (item.kind === "file") for await (const run of volume.runsOf(item.allocation)) claims.add(run);
  }
}

/** The clusters that belong to something, each to one thing: a bit for each. */
class Claims {
  readonly #bits: Buffer;

  constructor(clusters: number) {
    this.#bits = Buffer.alloc(Math.ceil(clusters / 8));
  }

  /** Throws `DoubtError` if one of them was claimed before. */
  add({ first, count }: ClusterRun): void {
    for (let cluster = first; cluster < first + count; cluster++) {
      const [byte, bit] = [cluster >>> 3, 1 << (cluster & 7)];
      const before = this.#bits.readUInt8(byte);
      if ((before & bit) !== 0) doubt("a cluster belongs to two files, or to a chain without an end");
      this.#bits.writeUInt8(before | bit, byte);
    }
  }

  /** Throws `DoubtError` unless all of them are in the map. */
  requireWithin(map: Buffer): void {
    for (const [at, bits] of this.#bits.entries())
      if ((bits & ~map.readUInt8(at)) !== 0) doubt("its map of used clusters calls content of files free");
  }
}
