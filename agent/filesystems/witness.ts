import type { LvmGroupState } from "./lvm-volume.ts";
import type { PartitionTable } from "./partition.ts";
import type { Content } from "./signatures/signature.ts";

/** An independent opinion on the content of a disk. One that is not available is not an objection. */
export interface Witness {
  /** Where it reads the partition table differently, as text. */
  differencesInTable(table: PartitionTable): Promise<string[]>;
  /** Whether the group's other disks have another state of a volume group, as text. */
  differenceInGroup(group: LvmGroupState): Promise<string | undefined>;
  /** Where it reads a stretch of the disk differently, as text. */
  differenceInVolume(content: Content, place: VolumeSpan): Promise<string | undefined>;
}

export interface VolumeSpan {
  offsetBytes: number;
  sizeBytes: number;
}

/** Runs a program on the machine; resolves with `undefined` if it is not installed. */
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
 * The status of `blkid -p` if it looked: found, nothing found, more than one thing found. Any other status
 * says nothing.
 */
const BLKID = { found: 0, nothing: 2, ambivalent: 8 } as const;

/** util-linux's `blkid` and `partx`, and LVM's `vgs`, if the machine has them. They only read. */
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
  // Also if it finds no table; blkid distinguishes that from not having looked.
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

/** A disk that its group ran without still has the earlier text. */
function differenceFromLvm(
  { uuid, sequence }: LvmGroupState,
  { status, output }: Testimony,
): string | undefined {
  if (status === undefined) return "vgs does not answer";
  const lines = output.split("\n").map((line) => line.trim().split(","));
  // A disk that LVM does not currently use, such as an image file, is in no list.
  const known = lines.find(([listed]) => listed === uuid)?.[1];
  if (known === undefined || Number(known) === sequence) return undefined;
  return `its LVM metadata is of state ${sequence}, that of its volume group is of state ${known}`;
}

/** A value from blkid's export format, lines of `NAME=value`. */
function valueIn(output: string, name: string): string | undefined {
  return new RegExp(`^${name}=(.*)$`, "m").exec(output)?.[1];
}
