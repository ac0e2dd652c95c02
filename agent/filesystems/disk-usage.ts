import { stat } from "node:fs/promises";
import { BlockSet } from "#shared/domain/block-set.ts";
import { normalize, subtract } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { openDisk } from "../disk/disk-source.ts";
import { type DiskReader, sliceReader } from "../disk/reader.ts";
import { type Doubt, doubt, NotEvaluatedError } from "./doubt.ts";
import { fileSystemOf } from "./file-systems.ts";
import { readLvmPhysicalVolume } from "./lvm-metadata.ts";
import { markLvmUsed } from "./lvm-usage.ts";
import type { MarkUsed } from "./mark-used.ts";
import type { PartitionTable } from "./partition.ts";
import { readPartitionTable } from "./partition-table.ts";
import { type Candidate, contentOf, probeCandidates } from "./probe.ts";
import { besideTable, type DiskCandidates, doubtsAboutDisk, readingOf } from "./reading.ts";
import type { Content } from "./signatures/signature.ts";
import { readerOf } from "./source-reader.ts";
import { type ProgramRunner, toolWitness, type Witness } from "./witness.ts";

/** A partition, logical volume or whole disk, and how its use was determined. */
export interface VolumeUsage {
  /** `disk`, `partition 2`, `partition 2/root`: for messages. */
  name: string;
  offsetBytes: number;
  sizeBytes: number;
  content: Content;
  /** In whole blocks, as the disk is copied. */
  usedBytes: number;
  /** `everything`: no free space is known, because of `reason`. */
  method: "free-space-map" | "everything";
  reason?: string;
}

/**
 * Which blocks of a disk must be copied. All others can be left out of a copy, where they then read as zeros.
 */
export interface DiskUsage {
  sizeBytes: number;
  used: BlockSet;
  /**
   * As the caller said. While a file system is being written, its free-space map is not a consistent view: do
   * not rely on it then.
   */
  consistent: boolean;
  partitionTable: PartitionTable;
  volumes: VolumeUsage[];
  /** Every part that is copied whole because it cannot be read in exactly one way, the disk itself first. */
  doubts: Doubt[];
}

/**
 * The usage of a disk or image that nothing writes to; see `readDiskUsage`. The machine's own tools give a
 * second opinion.
 */
export async function diskUsageOf(path: string, machine: ProgramRunner): Promise<DiskUsage> {
  // Past the page cache: that of a disk does not have what was written through its partitions, and the kernel
  // keeps it as long as any program has the disk open.
  const source = await openDisk(path);
  try {
    const witness = toolWitness(machine, path);
    // An image says nothing of sectors.
    const isDevice = (await stat(path)).isBlockDevice();
    const sectorBytes = isDevice ? source.sectorBytes : undefined;
    return await readDiskUsage(readerOf(source), { consistent: true, sectorBytes, witness });
  } finally {
    await source.close();
  }
}

export interface DiskUsageOptions {
  /** Whether nothing writes to the disk meanwhile; returned to the caller unchanged. */
  consistent: boolean;
  /** How finely used and free bytes are distinguished; a block with one used byte is used. */
  blockBytes?: number;
  /** The disk's logical sector size, if known. */
  sectorBytes?: number;
  /** A second opinion; a difference is a doubt. */
  witness?: Witness;
}

/**
 * Finds the used blocks of a whole disk: partition tables, all space outside of partitions (boot loaders use
 * it), and in each partition what its file system uses. Leaves out free space only if the disk can be read in
 * exactly one way: it searches the whole disk and every volume for everything that could be there, and a
 * second reading, or anything doubtful, makes that part fully used, with the reason. Never throws because of
 * what is on the disk.
 */
export async function readDiskUsage(reader: DiskReader, options: DiskUsageOptions): Promise<DiskUsage> {
  const { sizeBytes } = reader;
  const { consistent, blockBytes = BLOCK_BYTES } = options;
  const used = new BlockSet(sizeBytes, blockBytes);
  const { partitionTable, candidates, reasons } = await readDisk(reader, options);
  const survey = new Survey(used, options.witness);
  if (reasons.length > 0) {
    survey.markWhole(contentOf(besideTable(partitionTable, candidates)), reasons.join("; "));
  } else if (partitionTable.kind === "none") {
    await survey.markVolume(reader, { name: "disk", offsetBytes: 0 });
  } else {
    await survey.markPartitions(reader, partitionTable);
  }
  // Counted last: either of two volumes may mark a block that they share.
  const volumes = survey.volumes.map((volume) => ({
    ...volume,
    usedBytes: used.bytesWithin(volume.offsetBytes, volume.sizeBytes),
  }));
  return { sizeBytes, used, consistent, partitionTable, volumes, doubts: survey.doubts };
}

interface DiskView {
  partitionTable: PartitionTable;
  candidates: DiskCandidates;
  /** Why the disk as a whole is in doubt. */
  reasons: string[];
}

async function readDisk(reader: DiskReader, options: DiskUsageOptions): Promise<DiskView> {
  try {
    const partitionTable = await readPartitionTable(reader, options.sectorBytes);
    const candidates: DiskCandidates = {
      disk: await probeCandidates(reader),
      partitions: partitionTable.problems.length > 0 ? [] : await probePartitions(reader, partitionTable),
    };
    const reasons = doubtsAboutDisk(partitionTable, candidates);
    if (reasons.length === 0) {
      reasons.push(...((await options.witness?.differencesInTable(partitionTable)) ?? []));
    }
    return { partitionTable, candidates, reasons };
  } catch (error) {
    const reasons = [reasonOf(error)];
    return {
      partitionTable: { kind: "unknown", partitions: [], structures: [], problems: reasons },
      candidates: { disk: [], partitions: [] },
      reasons,
    };
  }
}

/**
 * The candidates in the partitions, at their offsets on the disk. A partition that cannot be read becomes a
 * doubt of its own, later.
 */
async function probePartitions(reader: DiskReader, { partitions }: PartitionTable): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const { offsetBytes, sizeBytes } of partitions) {
    const slice = sliceReader(reader, offsetBytes, sizeBytes);
    const candidates = await probeCandidates(slice).catch(() => []);
    found.push(...candidates.map((each) => ({ ...each, offset: offsetBytes + each.offset })));
  }
  return found;
}

interface VolumePlace {
  name: string;
  offsetBytes: number;
  /** The type of a partition. */
  partitionType?: string;
}

/** Marks what the volumes of one disk use, and collects what was found and why. */
class Survey {
  readonly volumes: Omit<VolumeUsage, "usedBytes">[] = [];
  readonly doubts: Doubt[] = [];
  readonly #used: BlockSet;
  readonly #witness: Witness | undefined;

  constructor(used: BlockSet, witness: Witness | undefined) {
    this.#used = used;
    this.#witness = witness;
  }

  markWhole(content: Content, reason: string): void {
    const { sizeBytes } = this.#used;
    this.#used.add(0, sizeBytes);
    this.volumes.push({ name: "disk", offsetBytes: 0, sizeBytes, content, method: "everything", reason });
    this.doubts.push({ place: "disk", reason });
  }

  async markPartitions(reader: DiskReader, { partitions }: PartitionTable): Promise<void> {
    const covered = normalize(
      partitions.map((each) => ({ offset: each.offsetBytes, length: each.sizeBytes })),
    );
    for (const { offset, length } of subtract([{ offset: 0, length: reader.sizeBytes }], covered)) {
      this.#used.add(offset, length);
    }
    for (const { number, offsetBytes, sizeBytes, type } of partitions) {
      const place = { name: `partition ${number}`, offsetBytes, partitionType: type };
      await this.markVolume(sliceReader(reader, offsetBytes, sizeBytes), place);
    }
  }

  async markVolume(reader: DiskReader, place: VolumePlace): Promise<void> {
    const { name, offsetBytes } = place;
    const mark: MarkUsed = (offset, length) => this.#used.add(offsetBytes + offset, length);
    let content: Content = { type: "none" };
    const volume = { name, offsetBytes, sizeBytes: reader.sizeBytes };
    try {
      const candidates = await probeCandidates(reader);
      content = contentOf(candidates);
      readingOf(candidates, place.partitionType);
      const difference = await this.#witness?.differenceInVolume(content, volume);
      if (difference) doubt(difference);
      if (content.type === "LVM2_member") {
        await this.#markPhysicalVolume(name, reader, within(reader, mark));
      } else {
        await markFileSystem(reader, content, mark);
      }
      this.volumes.push({ ...volume, content, method: "free-space-map" });
    } catch (error) {
      mark(0, reader.sizeBytes);
      const reason = this.#noteDoubt(name, error);
      this.volumes.push({ ...volume, content, method: "everything", reason });
    }
  }

  async #markPhysicalVolume(name: string, reader: DiskReader, mark: MarkUsed): Promise<void> {
    const physicalVolume = await readLvmPhysicalVolume(reader);
    const difference = await this.#witness?.differenceInGroup(physicalVolume.group);
    if (difference) doubt(difference);
    await markLvmUsed(reader, physicalVolume, mark, (...lv) => this.#markLogicalVolume(name, ...lv));
  }

  /**
   * A doubtful logical volume loses only its own free space. Volume groups inside are not read: two systems
   * may see them differently.
   */
  async #markLogicalVolume(group: string, name: string, reader: DiskReader, mark: MarkUsed): Promise<void> {
    try {
      const content = readingOf(await probeCandidates(reader));
      if (content.type === "LVM2_member") doubt("it holds a volume group of its own");
      await markFileSystem(reader, content, mark);
    } catch (error) {
      mark(0, reader.sizeBytes);
      this.#noteDoubt(`${group}/${name}`, error);
    }
  }

  #noteDoubt(place: string, error: unknown): string {
    const reason = reasonOf(error);
    if (!(error instanceof NotEvaluatedError)) this.doubts.push({ place, reason });
    return reason;
  }
}

async function markFileSystem(reader: DiskReader, { type }: Content, mark: MarkUsed): Promise<void> {
  const markUsed = fileSystemOf(type)?.markUsed ?? doubt(`free space of ${type} is not evaluated`);
  await markUsed(reader, within(reader, mark));
}

/** Throws `DoubtError` for a mark that is not within the volume. */
function within(reader: DiskReader, mark: MarkUsed): MarkUsed {
  return (offset, length) => {
    if (offset < 0 || length < 0 || offset + length > reader.sizeBytes) {
      doubt("its free-space map reaches beyond the volume");
    }
    mark(offset, length);
  };
}

/** Read errors are also doubts: the copy meets them again and reports them. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
