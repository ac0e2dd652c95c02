import type { LvmGroupState } from "./lvm-volume.ts";
import type { PartitionTable } from "./partition.ts";
import type { Content } from "./signatures/signature.ts";

/** An independent opinion on what a disk holds. One that is not to be had is no objection. */
export interface Witness {
  /** What it sees otherwise in the partition table, in words. */
  differencesInTable(table: PartitionTable): Promise<string[]>;
  /** Whether it knows another state of a volume group, from the group's other disks. */
  differenceInGroup(group: LvmGroupState): Promise<string | undefined>;
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

/** util-linux's `blkid` and `partx`, and LVM's `vgs`, where the machine has them. They only read. */
export function toolWitness(machine: ProgramRunner, path: string): Witness {
  return {
    async differencesInTable(table) {
      const probed = await machine.run("blkid", "--probe", "--output", "export", path);
      const columns = ["--noheadings", "--raw", "--output", "NR,START,SECTORS,TYPE"];
      const listed = await machine.run("partx", ...columns, path);
      return [
        ...(probed && table.kind !== "none" ? tableDifferencesFromBlkid(table, probed) : []),
        ...(listed ? differencesFromPartx(table, listed) : []),
      ];
    },
    async differenceInGroup(group) {
      const columns = ["--noheadings", "--separator", ",", "--options", "vg_uuid,vg_seqno"];
      const listed = await machine.run("vgs", "--readonly", ...columns);
      return listed ? differenceFromLvm(group, listed) : undefined;
    },
    async differenceInVolume(content, { offsetBytes, sizeBytes }) {
      const span = ["--offset", String(offsetBytes), "--size", String(sizeBytes)];
      const probed = await machine.run("blkid", "--probe", "--output", "export", ...span, path);
      return probed ? differenceFromBlkid(content, probed) : undefined;
    },
  };
}

function tableDifferencesFromBlkid(table: PartitionTable, { status, output }: Testimony): string[] {
  if (status === undefined) return ["blkid does not answer"];
  if (status === BLKID.ambivalent) return ["blkid finds more than one thing on the disk"];
  if (status === BLKID.nothing) return ["blkid finds no partition table"];
  if (status !== BLKID.found) return [];
  const [kind, type] = [valueIn(output, "PTTYPE"), valueIn(output, "TYPE")];
  const expected = table.kind === "mbr" ? "dos" : table.kind;
  return [
    ...(kind === expected
      ? []
      : [`blkid finds ${kind ? `another partition table (${kind})` : "no partition table"}`]),
    ...(type ? [`blkid finds ${type} beside the partition table`] : []),
  ];
}

function differencesFromPartx(table: PartitionTable, { status, output }: Testimony): string[] {
  if (status === undefined) return ["partx does not answer"];
  // Also where it finds no table, which blkid tells apart from not having looked.
  if (status !== 0) return [];
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
  const table = valueIn(output, "PTTYPE");
  if (table) return `blkid finds a partition table in it (${table})`;
  const type = valueIn(output, "TYPE");
  return type === content.type ? undefined : `blkid finds ${type ?? "nothing"} in it`;
}

/** A disk that its group has been without still has the text from before. */
function differenceFromLvm(
  { uuid, sequence }: LvmGroupState,
  { status, output }: Testimony,
): string | undefined {
  if (status === undefined) return "vgs does not answer";
  const lines = output.split("\n").map((line) => line.trim().split(","));
  // A disk that is not LVM's at present, such as an image file, is in no list.
  const known = lines.find(([listed]) => listed === uuid)?.[1];
  if (known === undefined || Number(known) === sequence) return undefined;
  return `its LVM metadata is of state ${sequence}, that of its volume group is of state ${known}`;
}

/** One line of what blkid exports, each `NAME=value`. */
function valueIn(output: string, name: string): string | undefined {
  return new RegExp(`^${name}=(.*)$`, "m").exec(output)?.[1];
}
