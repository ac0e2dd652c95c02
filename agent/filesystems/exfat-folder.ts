import { doubt, toNumber } from "./doubt.ts";
import type { Allocation, ClusterRun, ExfatVolume } from "./exfat-volume.ts";

const ENTRY_BYTES = 32;
/** Most folders end early in their first cluster, which can have megabytes. */
const PIECE_BYTES = 4096;
const IN_USE = 0x80;
/** Types of entries. A file has one for itself, one for where it is, and some for its name. */
const ENTRY = {
  bitmap: 0x81,
  upperCase: 0x82,
  label: 0x83,
  file: 0x85,
  id: 0xa0,
  stream: 0xc0,
  name: 0xc1,
} as const;
const ATTRIBUTE_FOLDER = 0x10;
const FLAG_CONTIGUOUS = 2;

/** Something in a folder that has clusters. Only the root has the map and the table of upper-case letters. */
export interface FolderItem {
  kind: "file" | "folder" | "map of used clusters" | "table of letters";
  allocation: Allocation;
}

/**
 * What is in a folder. `claim` gets the folder's own clusters, and throws for those that it had before, so
 * that folders in a circle end. Throws `DoubtError` for entries of a kind that is not known.
 */
export async function readExfatFolder(
  volume: ExfatVolume,
  folder: Allocation,
  claim: (run: ClusterRun) => void,
): Promise<FolderItem[]> {
  const parser = new FolderParser();
  for await (const run of volume.runsOf(folder)) {
    claim(run);
    for (let at = 0; at < run.count * volume.clusterBytes && !parser.hasEnded; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, run.count * volume.clusterBytes - at);
      parser.add(await volume.read(volume.offsetOf(run.first) + at, length));
    }
  }
  return parser.items;
}

class FolderParser {
  readonly items: FolderItem[] = [];
  /** What the entry before says; the next one says where it is. */
  #file: "file" | "folder" | undefined;
  #hasEnded = false;

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.#hasEnded; at += ENTRY_BYTES)
      this.#entry(bytes.subarray(at, at + ENTRY_BYTES));
  }

  #entry(entry: Buffer): void {
    const type = entry.readUInt8(0);
    if (type === 0) this.#hasEnded = true;
    if ((type & IN_USE) === 0) return;
    const file = this.#file;
    this.#file = undefined;
    if (type === ENTRY.file)
      this.#file = (entry.readUInt16LE(4) & ATTRIBUTE_FOLDER) === 0 ? "file" : "folder";
    else if (type === ENTRY.stream) this.#stream(file ?? doubt("a file has no entry of its own"), entry);
    else if (type === ENTRY.bitmap) this.#add("map of used clusters", entry, false);
    else if (type === ENTRY.upperCase) this.#add("table of letters", entry, false);
    else if (type !== ENTRY.label && type !== ENTRY.id && type !== ENTRY.name)
      doubt(`its folders have entries of an unknown kind (0x${type.toString(16)})`);
  }

  #stream(kind: "file" | "folder", entry: Buffer): void {
    const isEmpty = entry.readUInt32LE(20) === 0 && entry.readBigUInt64LE(24) === 0n;
    if (!isEmpty) this.#add(kind, entry, (entry.readUInt8(1) & FLAG_CONTIGUOUS) !== 0);
  }

  #add(kind: FolderItem["kind"], entry: Buffer, isContiguous: boolean): void {
    const [first, bytes] = [entry.readUInt32LE(20), toNumber(entry.readBigUInt64LE(24))];
    this.items.push({ kind, allocation: { first, bytes, isContiguous } });
  }
}
