import type { PartitionTable } from "./partition.ts";
import type { Content } from "./signatures/signature.ts";

/** An independent opinion on what a disk holds. One that is not to be had is no objection. */
export interface Witness {
  /** What it sees otherwise in the partition table, in words. */
  differencesInTable(table: PartitionTable): Promise<string[]>;
  /** What it sees otherwise in a stretch of the disk, in words. */
  differenceInVolume(content: Content, place: VolumeSpan): Promise<string | undefined>;
}

export interface VolumeSpan {
  offsetBytes: number;
  sizeBytes: number;
}

/** What is needed of a machine: runs a program, and returns `undefined` if it is not installed. */
export interface ProgramRunner {
  run(
    command: string,
    ...args: string[]
  ): Promise<{ status: number | undefined; output: string } | undefined>;
}
type Testimony = NonNullable<Awaited<ReturnType<ProgramRunner["run"]>>>;

const SECTOR_BYTES = 512;
const EXTENDED_TYPES = new Set(["0x5", "0xf", "0x85"]);
/**
 * How `blkid -p` ends where it looked: found, nothing found, more than one thing found. Any other end is no
 * testimony.
 */
const BLKID = { found: 0, nothing: 2, ambivalent: 8 } as const;

/** util-linux's `blkid` and `partx`, where the machine has them. They only read. */
export function toolWitness(machine: ProgramRunner, path: string): Witness {
  return {
    async differencesInTable(table) {
      const columns = ["--noheadings", "--raw", "--output", "NR,START,SECTORS,TYPE"];
      const result = await machine.run("partx", "--show", ...columns, path);
      return result ? differencesFromPartx(table, result) : [];
    },
    async differenceInVolume(content, { offsetBytes, sizeBytes }) {
      const span = ["--offset", String(offsetBytes), "--size", String(sizeBytes)];
      const result = await machine.run("blkid", "--probe", "--output", "export", ...span, path);
      return result ? differenceFromBlkid(content, result) : undefined;
    },
  };
}

function differencesFromPartx(table: PartitionTable, { status, output }: Testimony): string[] {
  if (status === undefined) return ["partx does not answer"];
  const theirs = output
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([number, , , type = ""]) => number && !EXTENDED_TYPES.has(type))
    .map(([number, start, sectors]) => `${number} at sector ${start} with ${sectors} sectors`);
  const ours = table.partitions.map(
    ({ number, offsetBytes, sizeBytes }) =>
      `${number} at sector ${offsetBytes / SECTOR_BYTES} with ${sizeBytes / SECTOR_BYTES} sectors`,
  );
  return [
    ...ours.filter((each) => !theirs.includes(each)).map((each) => `partx does not see partition ${each}`),
    ...theirs.filter((each) => !ours.includes(each)).map((each) => `partx sees a partition ${each}`),
  ];
}

function differenceFromBlkid(content: Content, { status, output }: Testimony): string | undefined {
  if (status === undefined) return "blkid does not answer";
  if (status === BLKID.ambivalent) return "blkid finds more than one thing in it";
  if (status === BLKID.nothing) return `blkid does not find ${content.type} in it`;
  if (status !== BLKID.found) return undefined;
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(output)?.[1];
  const table = value("PTTYPE");
  if (table) return `blkid finds a partition table in it (${table})`;
  const type = value("TYPE");
  return type === content.type ? undefined : `blkid finds ${type ?? "nothing"} in it`;
}
