import type { DiskReader } from "../disk/reader.ts";
import { readGpt } from "./gpt.ts";
import { readMbr } from "./mbr.ts";
import type { PartitionTable, TablePartition } from "./partition.ts";

/** The disk's partition table: GPT (its backup where the primary is damaged), MBR with logical partitions, or none. Never throws for bad bytes. */
export async function readPartitionTable(reader: DiskReader): Promise<PartitionTable> {
  const mbr = await readMbr(reader);
  if (mbr === undefined) return { kind: "none", partitions: [], problems: [] };
  // As Linux does: a GPT counts only where the MBR announces it, else a stale one would hide the newer MBR.
  const table = mbr.protective ? await readGpt(reader) : mbr.table;
  const problem = findMisplacement(table.partitions, reader.sizeBytes);
  return problem ? { ...table, kind: "unknown", problems: [...table.problems, problem] } : table;
}

function findMisplacement(partitions: TablePartition[], sizeBytes: number): string | undefined {
  let end = 0;
  for (const partition of partitions.toSorted((a, b) => a.offsetBytes - b.offsetBytes)) {
    if (partition.offsetBytes < end) return `partition ${partition.number} overlaps another one`;
    end = partition.offsetBytes + partition.sizeBytes;
    if (end > sizeBytes) return `partition ${partition.number} ends beyond the disk`;
  }
  return undefined;
}
