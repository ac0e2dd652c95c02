/** For tests: what is in a copy of the disks of a `layeredMachine`. Needs neither md nor device mapper. */
import { createDecipheriv } from "node:crypto";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { openFileReader } from "#agent/disk/reader.ts";
import { readLvmPhysicalVolume } from "#agent/filesystems/lvm-metadata.ts";
import { run, runContained } from "../machines/disk/command.ts";
import {
  ARRAY_OFFSET_BYTES,
  LUKS_OFFSET_BYTES,
  LUKS_SECTOR_BYTES,
  MEMBERS,
  PARTITIONED,
  PARTITIONS,
  PLACES,
} from "./layered-machine.ts";
import { recordsOf, strayRecords, type WrittenRecord } from "./written-record.ts";

const PAGE_BYTES = 4096;
const CHUNK_BYTES = 4 * 2 ** 20;
/** Of an array's superblock, which is one page from its member's start: */
const SUPERBLOCK_MAGIC = 0xa92b4efc;
const SUPERBLOCK_SIZE_AT = 80;
const SUPERBLOCK_DATA_AT = 128;

/** A volume in a file. */
export interface VolumeInFile {
  file: string;
  offsetBytes: number;
  sizeBytes: number;
}

/** One member of the array: what it contains, as the other one does, and where in itself that is. */
interface MemberCopy {
  volumes: Readonly<Record<"ext4" | "xfs" | "raw", VolumeInFile>>;
  /** Where the raw volume is on the disk. */
  rawOffsetBytes: number;
}

export interface LayeredCopy {
  members: readonly MemberCopy[];
  partitions: Readonly<Record<"vfat" | "swap" | "btrfs" | "raw", VolumeInFile>>;
}

/** Opens what is encrypted into files in `workDir`. */
export async function openLayers(
  images: readonly string[],
  { volumeKey, workDir }: { volumeKey: Buffer; workDir: string },
): Promise<LayeredCopy> {
  const members: MemberCopy[] = [];
  for (const disk of MEMBERS) {
    const unlocked = join(workDir, `unlocked-${disk}.raw`);
    await unlock(images[disk] ?? "", unlocked, volumeKey);
    members.push(await openMember(unlocked));
  }
  const file = images[PARTITIONED] ?? "";
  const partitions = Object.fromEntries(
    PARTITIONS.map(({ type, offsetBytes, sizeBytes }) => [type, { file, offsetBytes, sizeBytes }]),
  ) as LayeredCopy["partitions"];
  return { members, partitions };
}

async function unlock(member: string, to: string, key: Buffer): Promise<void> {
  await using from = await open(member, "r");
  const superblock = Buffer.alloc(PAGE_BYTES);
  await from.read(superblock, 0, PAGE_BYTES, PAGE_BYTES);
  const arrayOffset = Number(superblock.readBigUInt64LE(SUPERBLOCK_DATA_AT)) * 512;
  if (superblock.readUInt32LE(0) !== SUPERBLOCK_MAGIC || arrayOffset !== ARRAY_OFFSET_BYTES)
    throw new Error(`${member} is no member of the array, or its content begins at ${arrayOffset}`);
  const contentBytes = Number(superblock.readBigUInt64LE(SUPERBLOCK_SIZE_AT)) * 512 - LUKS_OFFSET_BYTES;
  await using file = await open(to, "w");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; at < contentBytes; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, contentBytes - at);
    await from.read(chunk, 0, length, ARRAY_OFFSET_BYTES + LUKS_OFFSET_BYTES + at);
    for (let sector = 0; sector < length; sector += LUKS_SECTOR_BYTES) {
      const vector = Buffer.alloc(16);
      vector.writeBigUInt64LE(BigInt((at + sector) / 512));
      const cipher = createDecipheriv("aes-256-xts", key, vector);
      cipher.update(chunk.subarray(sector, sector + LUKS_SECTOR_BYTES)).copy(chunk, sector);
    }
    await file.write(chunk, 0, length, at);
  }
}

async function openMember(unlocked: string): Promise<MemberCopy> {
  const reader = await openFileReader(unlocked);
  try {
    const { volumes } = await readLvmPhysicalVolume(reader);
    const placed = volumes.map(({ name, pieces }) => {
      const [piece, ...others] = pieces ?? [];
      if (!piece || others.length > 0) throw new Error(`the volume ${name} is not in one piece`);
      return [name, { file: unlocked, offsetBytes: piece.offset, sizeBytes: piece.length }] as const;
    });
    const found = Object.fromEntries(placed) as MemberCopy["volumes"];
    const rawOffsetBytes = ARRAY_OFFSET_BYTES + LUKS_OFFSET_BYTES + found.raw.offsetBytes;
    return { volumes: found, rawOffsetBytes };
  } finally {
    await reader.close();
  }
}

export async function bytesOf({ file, offsetBytes, sizeBytes }: VolumeInFile): Promise<Buffer> {
  await using opened = await open(file, "r");
  const bytes = Buffer.alloc(sizeBytes);
  await opened.read(bytes, 0, sizeBytes, offsetBytes);
  return bytes;
}

const CHECKS = {
  ext4: "e2fsck -fn",
  xfs: "xfs_repair -n",
  btrfs: "btrfs check --check-data-csum",
};

/** The records of a copy. Those that were written in turn, as each member of the array has them. */
export interface RecordsOfCopy {
  together: readonly (readonly WrittenRecord[])[];
  vfat: readonly WrittenRecord[];
  /** Of each member. */
  volume: readonly (readonly WrittenRecord[])[];
  partition: readonly WrittenRecord[];
}

/**
 * Mounts and unmounts each file system once, as the machine's first start would, and checks it. Rejects if
 * one is not whole, or if its records are followed by anything else.
 */
export async function recordsOfCopy(copy: LayeredCopy, workDir: string): Promise<RecordsOfCopy> {
  const { ext4, xfs, btrfs } = PLACES.together;
  const onBtrfs = wholeRecords(btrfs, await mountedFile(copy.partitions.btrfs, "btrfs", workDir));
  const together: WrittenRecord[][] = [];
  const volume: WrittenRecord[][] = [];
  for (const { volumes } of copy.members) {
    const onExt4 = wholeRecords(ext4, await mountedFile(volumes.ext4, "ext4", workDir));
    const onXfs = wholeRecords(xfs, await mountedFile(volumes.xfs, "xfs", workDir));
    together.push([...onBtrfs, ...onExt4, ...onXfs].sort((a, b) => a.order - b.order));
    volume.push(rawRecords(PLACES.alone.volume, await bytesOf(volumes.raw)));
  }
  const { vfat, partition } = PLACES.alone;
  return {
    ...{ together, volume },
    vfat: rawRecords(vfat, await vfatFile(copy.partitions.vfat, workDir)),
    partition: rawRecords(partition, await bytesOf(copy.partitions.raw)),
  };
}

function wholeRecords(place: string, file: Buffer): WrittenRecord[] {
  const records = recordsOf(place, file);
  if (records.length === 0 || records.length * 512 !== file.length)
    throw new Error(`${place} has ${file.length} bytes, and ${records.length} records`);
  return records;
}

/** As after a power failure: the last record may be damaged, but none may follow one that is not there. */
function rawRecords(place: string, bytes: Buffer): WrittenRecord[] {
  const records = recordsOf(place, bytes);
  const stray = strayRecords(place, bytes, records.length);
  if (records.length === 0 || stray.length > 0)
    throw new Error(`${place} has ${records.length} records, and after them the records ${stray}`);
  return records;
}

async function mountedFile(
  { file, offsetBytes, sizeBytes }: VolumeInFile,
  type: keyof typeof CHECKS,
  workDir: string,
): Promise<Buffer> {
  const [mountPoint, copied] = [join(workDir, "mounted"), join(workDir, "copied")];
  await mkdir(mountPoint, { recursive: true });
  const script = `set -e
device=$(losetup --find --show --offset ${offsetBytes} --sizelimit ${sizeBytes} ${file})
trap 'losetup --detach $device' EXIT
mount -t ${type} $device ${mountPoint}
cp ${join(mountPoint, "records")} ${copied}
umount ${mountPoint}
${CHECKS[type]} $device`;
  await runContained("sh", ["-c", script]);
  return readFile(copied);
}

async function vfatFile({ file, offsetBytes }: VolumeInFile, workDir: string): Promise<Buffer> {
  const copied = join(workDir, "copied-vfat");
  await rm(copied, { force: true });
  await run("mcopy", ["-i", `${file}@@${offsetBytes}`, "::records", copied]);
  return readFile(copied);
}

/** The offsets of the pages in which two files of one size differ. */
export async function differingPages(left: string, right: string): Promise<number[]> {
  await using a = await open(left, "r");
  await using b = await open(right, "r");
  const [one, two] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)];
  const found: number[] = [];
  for (let at = 0; ; at += CHUNK_BYTES) {
    const { bytesRead } = await a.read(one, 0, CHUNK_BYTES, at);
    const other = await b.read(two, 0, CHUNK_BYTES, at);
    if (bytesRead !== other.bytesRead) throw new Error(`${left} and ${right} differ in size`);
    for (let page = 0; page < bytesRead; page += PAGE_BYTES)
      if (one.compare(two, page, page + PAGE_BYTES, page, page + PAGE_BYTES) !== 0) found.push(at + page);
    if (bytesRead < CHUNK_BYTES) return found;
  }
}
