import type { DiskReader } from "../disk/reader.ts";
import { readGpt } from "./gpt.ts";
import { type MbrEntry, type MbrTable, PROTECTIVE_TYPE, readMbr, readMbrEntries } from "./mbr.ts";
import type { PartitionTable, TablePartition } from "./partition.ts";

const DEFAULT_SECTOR_BYTES = 512;

/**
 * The disk's partition table as Linux shows it: GPT (its backup if the primary is damaged), MBR with logical
 * partitions, or none. Never throws because of bad bytes. `sectorBytes`: the disk's logical sector size, if
 * known. MBRs count in it, or in 512 bytes if it is absent; a GPT that counts in another is a problem.
 */
export async function readPartitionTable(reader: DiskReader, sectorBytes?: number): Promise<PartitionTable> {
  const entries = await readMbrEntries(reader);
  if (!entries) return { kind: "none", partitions: [], structures: [], problems: [] };
  // As in Linux, a GPT counts only if the MBR announces it; otherwise a stale one would hide the newer MBR.
  const isProtective = entries.some((entry) => entry.type === PROTECTIVE_TYPE);
  if (!isProtective)
    return verified(await readMbr(reader, entries, sectorBytes ?? DEFAULT_SECTOR_BYTES), reader.sizeBytes);
  const gpt = await readGpt(reader, sectorBytes);
  return verified(
    {
      ...gpt,
      structures: [0, ...gpt.structures],
      problems: [...gpt.problems, ...contradictions(gpt, entries, sectorBytes ?? DEFAULT_SECTOR_BYTES)],
    },
    reader.sizeBytes,
  );
}

function verified(
  { containers = [], ...table }: PartitionTable & Partial<MbrTable>,
  sizeBytes: number,
): PartitionTable {
  const problem = findMisplacement(table.partitions, containers, sizeBytes);
  return problem ? { ...table, kind: "unknown", problems: [...table.problems, problem] } : table;
}

/**
 * Where an MBR disagrees with the GPT beside it. Systems without GPT, and Windows when a BIOS started it, use
 * the MBR.
 */
function contradictions(gpt: PartitionTable, entries: readonly MbrEntry[], sectorBytes: number): string[] {
  const problems: string[] = [];
  for (const { number, type, firstSector, sectors } of entries) {
    if (type === PROTECTIVE_TYPE) {
      if (firstSector !== 1) problems.push("the MBR's protective entry does not begin in sector 1");
    } else if (sectors > 0) {
      const [offset, size] = [firstSector * sectorBytes, sectors * sectorBytes];
      const isSame = gpt.partitions.some((each) => each.offsetBytes === offset && each.sizeBytes === size);
      if (!isSame) problems.push(`entry ${number} of the MBR is not a partition of the GPT`);
    }
  }
  return problems;
}

function findMisplacement(
  partitions: readonly TablePartition[],
  containers: MbrTable["containers"],
  sizeBytes: number,
): string | undefined {
  // Extended boot records are used space, like partitions; a logical partition is inside its container, and
  // the others are beside it.
  const records = containers.flatMap((container) =>
    container.records.map((record) => ({ name: "an extended boot record", ...record })),
  );
  const places = partitions.map(({ number, offsetBytes: offset, sizeBytes: length }) => ({
    name: `partition ${number}`,
    offset,
    length,
  }));
  const primary = partitions.filter(({ number }) => containers.length > 0 && number < 5);
  for (const container of containers) {
    const inside = primary.find(
      ({ offsetBytes, sizeBytes: length }) =>
        offsetBytes < container.offset + container.length && container.offset < offsetBytes + length,
    );
    if (inside) return `partition ${inside.number} overlaps an extended partition`;
    if (container.offset + container.length > sizeBytes) return "an extended partition ends beyond the disk";
  }
  let end = 0;
  for (const place of [...places, ...records].sort((a, b) => a.offset - b.offset)) {
    if (place.offset < end) return `${place.name} overlaps another one`;
    end = place.offset + place.length;
    if (end > sizeBytes) return `${place.name} ends beyond the disk`;
  }
  return undefined;
}
