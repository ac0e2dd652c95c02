/** Finds a disk again after a restart, when another kernel may give it another name. */
import * as z from "zod";
import type { Disk } from "../protocol/inventory.ts";

/** What identifies a disk in both systems, even if each gives it another name. */
export const DiskMark = z.object({
  name: z.string(),
  sizeBytes: z.int(),
  partitionTableUuid: z.string().optional(),
  serial: z.string().optional(),
  /** As the kernel prints it, such as `naa.…`, `eui.…` or `t10.…`. */
  wwid: z.string().optional(),
  /** UUID of the file system or LVM physical volume that fills a disk without a partition table. */
  contentUuid: z.string().optional(),
  /** The disk has several paths. A system without multipath shows each path as a separate disk. */
  multipath: z.boolean().optional(),
});
export type DiskMark = z.infer<typeof DiskMark>;

export interface SeenDisk extends DiskMark {
  path: string;
}

const IDENTIFIERS = ["partitionTableUuid", "serial", "wwid", "contentUuid"] as const;
type Identifier = (typeof IDENTIFIERS)[number];
/** Two systems never see different values of these for one disk, but a system may not see a value at all. */
const UNCHANGING: readonly Identifier[] = ["partitionTableUuid", "serial", "contentUuid"];
/** A meaningless value that some disk controllers and adapters report for every disk. */
const EMPTY = /^(?:0x)?[0\s-]*$/;

export function markOf(disk: Disk): DiskMark {
  const { name, sizeBytes, partitionTableUuid, serial, wwid, content, multipath } = disk;
  return { name, sizeBytes, partitionTableUuid, serial, wwid, contentUuid: content?.uuid, multipath };
}

export const seenDiskOf = (disk: Disk): SeenDisk => ({ ...markOf(disk), path: disk.path });

/**
 * Finds the wanted disks among those that this system sees. A match has the same size, at least one
 * identifier in common, and none that differs. A disk that is not found, or that cannot be told from another
 * one, is missing from the result: a wrong disk is worse than none.
 */
export function recogniseDisks(
  wanted: readonly DiskMark[],
  seen: readonly SeenDisk[],
): { name: string; path: string }[] {
  return wanted.flatMap((mark) => {
    const candidates = seen
      .filter((disk) => disk.sizeBytes === mark.sizeBytes && !contradicts(mark, disk))
      .map((disk) => ({ disk, common: commonIdentifiers(mark, disk) }))
      .filter(({ common }) => common.length > 0);
    // A cloned disk has the original's partition table, so only the serial number tells them apart.
    const most = Math.max(...candidates.map(({ common }) => common.length));
    const best = candidates.filter(({ common }) => common.length === most).map(({ disk }) => disk);
    const [match, ...others] = best;
    if (!match) return [];
    const isOne = others.length === 0 || (mark.multipath === true && arePaths(mark, best));
    return isOne ? [{ name: mark.name, path: match.path }] : [];
  });
}

/** Why this disk could not be found again among all disks of its machine; `undefined` if it could be. */
export function whyNotRecognised(mark: DiskMark, all: readonly DiskMark[]): string | undefined {
  if (IDENTIFIERS.every((identifier) => identifierOf(mark, identifier) === undefined))
    return "it has neither a partition table nor a serial number by which it could be found again";
  if (mark.multipath && identifierOf(mark, "wwid") === undefined)
    return "its paths have no WWID by which they could be joined again";
  const seen = all.map((each, index) => ({ ...each, path: String(index) }));
  // The machine's own list has one path for each disk, so two with the same identifiers are two disks.
  if (recogniseDisks([{ ...mark, multipath: false }], seen).length === 1) return undefined;
  const twins = all.filter(
    (each) =>
      each.name !== mark.name &&
      each.sizeBytes === mark.sizeBytes &&
      !contradicts(mark, each) &&
      commonIdentifiers(mark, each).length > 0,
  );
  return `nothing tells it from ${twins.map(({ name }) => name).join(" and ")}`;
}

function contradicts(mark: DiskMark, disk: DiskMark): boolean {
  return UNCHANGING.some((identifier) => {
    const [a, b] = [identifierOf(mark, identifier), identifierOf(disk, identifier)];
    return a !== undefined && b !== undefined && a !== b;
  });
}

function commonIdentifiers(mark: DiskMark, disk: DiskMark): Identifier[] {
  return IDENTIFIERS.filter((identifier) => {
    const own = identifierOf(mark, identifier);
    return own !== undefined && own === identifierOf(disk, identifier);
  });
}

/** `undefined` if the disk has none, or one that says nothing. */
export function identifierOf(mark: DiskMark, identifier: Identifier): string | undefined {
  const value = mark[identifier]?.trim();
  return value === undefined || EMPTY.test(value) ? undefined : value;
}

function arePaths(mark: DiskMark, disks: readonly DiskMark[]): boolean {
  const wwid = identifierOf(mark, "wwid");
  return wwid !== undefined && disks.every((disk) => identifierOf(disk, "wwid") === wwid);
}
