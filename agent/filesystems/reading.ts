import { doubt, NotEvaluatedError } from "./doubt.ts";
import { fileSystemOf } from "./file-systems.ts";
import type { PartitionTable } from "./partition.ts";
import { isDynamicDiskType, type PartitionType, partitionTypeOf } from "./partition-types.ts";
import { type Candidate, contentOf } from "./probe.ts";
import type { Content } from "./signatures/signature.ts";
import { isFileSystem, isTable } from "./signatures/signature-table.ts";

/** Tables in a partition whose entries count from the beginning of the disk, or cover all of it. */
const REACHES_OUT = new Set(["bsd", "dragonfly", "solaris", "unixware", "ldm"]);

/**
 * The one way in which a volume can be read. Throws `DoubtError` if it shows more than one thing, a partition
 * table of its own, or nothing, or if its partition's type contradicts it. Throws `NotEvaluatedError` if its
 * content is known but its free space is not read here.
 *
 * `partitionType`: absent for a volume that is not a partition.
 */
export function readingOf(candidates: readonly Candidate[], partitionType?: string): Content {
  const content = contentOf(candidates);
  const types = typesOf(candidates);
  if (types.length > 1) doubt(`it can be read in several ways: as ${types.join(", as ")}`);
  if (isTable(content.type)) doubt(`it holds a partition table of its own (${content.type})`);
  const known = partitionType === undefined ? undefined : knownType(partitionType);
  if (content.type === "none") {
    if (known && !known.holds.length && known.name !== "Linux swap") {
      throw new NotEvaluatedError(`its partition type (${known.name}) has no free space to evaluate`);
    }
    return doubt("it has no known signature");
  }
  if (!isEvaluated(content)) throw new NotEvaluatedError(`free space of ${content.type} is not evaluated`);
  if (known && !known.holds.includes(content.type)) {
    doubt(`its partition type (${known.name}) contradicts its content (${content.type})`);
  }
  return content;
}

/** Whether the free space of such a volume is read. */
function isEvaluated({ type }: Content): boolean {
  return type === "LVM2_member" || fileSystemOf(type)?.markUsed !== undefined;
}

/** The candidates in the whole disk and in each partition, all at their offsets on the disk. */
export interface DiskCandidates {
  disk: readonly Candidate[];
  partitions: readonly Candidate[];
}

/** Doubts about a whole disk: a table that systems may read differently, and what can be read beside it. */
export function doubtsAboutDisk(table: PartitionTable, candidates: DiskCandidates): string[] {
  const reasons = [...table.problems];
  if (table.partitions.some(({ type }) => isDynamicDiskType(type)))
    reasons.push("it is a Windows dynamic disk (LDM)");
  for (const type of typesOf(candidates.partitions).filter((each) => REACHES_OUT.has(each))) {
    reasons.push(`a partition holds a table (${type}) that may reach beyond it`);
  }
  const beside = typesOf(besideTable(table, candidates));
  if (table.kind !== "none" && beside.length > 0) {
    reasons.push(`beside its partition table it can be read as ${beside.join(", as ")}`);
  }
  return reasons;
}

/**
 * What a probe of the whole disk found besides the table itself and the end of a file system in the last
 * partition, if that ends with the disk. An array's description there may belong to the disk.
 */
export function besideTable(table: PartitionTable, { disk, partitions }: DiskCandidates): Candidate[] {
  return disk.filter(({ type, offset }) => {
    const isInPartition = partitions.some((each) => each.type === type && each.offset === offset);
    return !(isTable(type) && table.structures.includes(offset)) && !(isInPartition && isFileSystem(type));
  });
}

function knownType(partitionType: string): PartitionType {
  return partitionTypeOf(partitionType) ?? doubt(`its partition type (${partitionType}) is not known here`);
}

function typesOf(candidates: readonly Candidate[]): string[] {
  return [...new Set(candidates.map(({ type }) => type))];
}
