/** For tests: layers of a disk, old and new, made by real tools that need no kernel support. */
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSparse, MIB, place, tool } from "./test-image.ts";

/** A folder in which one disk, `disk`, is assembled. */
export class DiskInLayers {
  readonly path: string;
  readonly #folder: string;
  readonly #sizeMiB: number;

  private constructor(folder: string, sizeMiB: number) {
    this.path = join(folder, "disk");
    this.#folder = folder;
    this.#sizeMiB = sizeMiB;
  }

  /** An empty disk of this size. */
  static async create(folder: string, sizeMiB: number): Promise<DiskInLayers> {
    const disk = new DiskInLayers(folder, sizeMiB);
    createSparse(disk.path, sizeMiB);
    return disk;
  }

  /** A negative `at` counts from the end. */
  async write(at: number, bytes: Buffer | string): Promise<void> {
    const data = Buffer.from(bytes as string, "latin1");
    const file = await open(this.path, "r+");
    await file.write(data, 0, data.length, at < 0 ? this.#sizeMiB * MIB + at : at);
    await file.close();
  }

  /** A master boot record from sfdisk's lines; wipes nothing that is already there. */
  async mbr(...lines: string[]): Promise<void> {
    const script = join(this.#folder, "script");
    await writeFile(script, `${["label: dos", ...lines].join("\n")}\n`);
    tool("sh", "-c", `sfdisk -q --wipe never --wipe-partitions never ${this.path} < ${script}`);
  }

  gpt(...partitions: [startMiB: number, sizeMiB: number, type: string][]): void {
    const options = partitions.flatMap(([start, size, type], index) => [
      `--new=${index + 1}:${start * 2048}:+${size}M`,
      `--typecode=${index + 1}:${type}`,
    ]);
    tool("sgdisk", "--clear", ...options, this.path);
  }

  /** A file system at this position, made by its own tool in its own file. */
  async volume(startMiB: number, sizeMiB: number, ...command: [string, ...string[]]): Promise<void> {
    const volume = join(this.#folder, "volume");
    createSparse(volume, sizeMiB);
    tool(...command, volume);
    place(volume, this.path, startMiB);
  }

  ext4(startMiB: number, sizeMiB: number): Promise<void> {
    return this.volume(startMiB, sizeMiB, "mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard");
  }

  /** An ext4 that is made over existing content, as on a reused disk. */
  ext4InOld(startMiB: number, sizeMiB: number): void {
    const offset = `nodiscard,offset=${startMiB * MIB}`;
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", offset, this.path, `${sizeMiB * 256}`);
  }

  ntfs(startMiB: number, sizeMiB: number): Promise<void> {
    return this.volume(startMiB, sizeMiB, "mkfs.ntfs", "-q", "-F", "-Q");
  }
}

/**
 * A version 1 md superblock as mdadm writes it, for a member of RAID 1 whose superblock is in this sector.
 */
export function mdSuperblock(sector: number, sizeBytes: number): Buffer {
  const superblock = Buffer.alloc(256 + 2 * 2);
  superblock.writeUInt32LE(0xa92b4efc, 0);
  superblock.writeUInt32LE(1, 4);
  superblock.fill(0x5a, 16, 32);
  superblock.write("host:0", 32);
  superblock.writeInt32LE(1, 72);
  superblock.writeBigUInt64LE(BigInt(sizeBytes / 512 - 2048), 80);
  superblock.writeUInt32LE(2, 92);
  superblock.writeBigUInt64LE(2048n, 128);
  superblock.writeBigUInt64LE(BigInt(sizeBytes / 512 - 2048), 136);
  superblock.writeBigUInt64LE(BigInt(sector), 144);
  superblock.writeUInt32LE(2, 220);
  superblock.writeUInt16LE(1, 258);
  let sum = 0n;
  for (let offset = 0; offset < superblock.length; offset += 4)
    sum += BigInt(superblock.readUInt32LE(offset));
  superblock.writeUInt32LE(Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn), 216);
  return superblock;
}
