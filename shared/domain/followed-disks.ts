/**
 * Names disks as before: after a restart, a kernel may give two disks each other's names, and a plan has to
 * continue with the ones that it was made for.
 */
import { type DiskMark, identifierOf, type SeenDisk } from "./disk-recognition.ts";

/** No program on the machine changes these. The first one that two disks both have decides. */
const OF_HARDWARE = ["serial", "wwid"] as const;
/** A new partition table or file system changes these. */
const ON_DISK = ["partitionTableUuid", "contentUuid"] as const;
/** Each outweighs those after it together. */
const WEIGHTS = { serial: 8, wwid: 4, partitionTableUuid: 2, contentUuid: 1 } as const;

/**
 * All of a machine's disks, each with a name of its own: that of its mark, or else the kernel's. If another
 * disk has that name, it gets one that the kernel gives to a disk with a mark. A disk that has grown is still
 * the same.
 */
export function nameDisks(marks: readonly DiskMark[], seen: readonly SeenDisk[]): SeenDisk[] {
  const names = new Map([...disksOf(marks, seen)].map(([{ name }, disk]) => [disk, name]));
  const isTaken = (name: string) => [...names.values()].includes(name);
  for (const disk of seen) if (!names.has(disk) && !isTaken(disk.name)) names.set(disk, disk.name);
  for (const disk of seen) {
    // There are as many names as disks, so one is free.
    if (!names.has(disk)) names.set(disk, seen.find(({ name }) => !isTaken(name))?.name ?? disk.name);
  }
  return seen.map((disk) => ({ ...disk, name: names.get(disk) ?? disk.name }));
}

/** Of each mark whose disk is there, and can be told from others, that disk. No disk has two marks. */
function disksOf(marks: readonly DiskMark[], seen: readonly SeenDisk[]): Map<DiskMark, SeenDisk> {
  const claims = marks.map((mark) => ({ mark, ...bestMatch(mark, seen) }));
  const found = new Map<DiskMark, SeenDisk>();
  for (const disk of seen) {
    const own = claims.filter((claim) => claim.disk === disk);
    const most = own.filter(({ weight }) => weight === Math.max(...own.map((claim) => claim.weight)));
    const winner = most.length === 1 ? most[0] : most.find(({ mark }) => mark.name === disk.name);
    if (winner) found.set(winner.mark, disk);
  }
  return found;
}

/** The disk that has most in common with the mark; of several, the one with its name, or none. */
function bestMatch(mark: DiskMark, seen: readonly SeenDisk[]): { disk?: SeenDisk; weight: number } {
  const weighed = seen.map((disk) => ({ disk, weight: weightOf(mark, disk) }));
  const weight = Math.max(0, ...weighed.map((one) => one.weight));
  const best = weighed.filter((one) => one.weight === weight);
  const only = best.length === 1 ? best[0] : best.find(({ disk }) => disk.name === mark.name);
  return weight > 0 && only ? only : { weight: 0 };
}

function weightOf(mark: DiskMark, disk: DiskMark): number {
  if (isOther(mark, disk)) return 0;
  const all = [...OF_HARDWARE, ...ON_DISK];
  return all
    .filter((identifier) => isSame(mark, disk, identifier) === true)
    .reduce((sum, identifier) => sum + WEIGHTS[identifier], 0);
}

/** Whether the hardware says that this is another disk. */
function isOther(mark: DiskMark, disk: DiskMark): boolean {
  const decides = OF_HARDWARE.find((identifier) => isSame(mark, disk, identifier) !== undefined);
  return decides !== undefined && isSame(mark, disk, decides) === false;
}

type Identifier = keyof typeof WEIGHTS;

/** `undefined` if one of them does not have this identifier. */
function isSame(a: DiskMark, b: DiskMark, identifier: Identifier): boolean | undefined {
  const [own, other] = [identifierOf(a, identifier), identifierOf(b, identifier)];
  return own === undefined || other === undefined ? undefined : own === other;
}
