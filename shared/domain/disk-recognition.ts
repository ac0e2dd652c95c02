/** How a disk is found again after a restart, when another kernel may give it another name. */
import { z } from "zod";
import type { Disk } from "../protocol/inventory.ts";

/** A disk as both systems can recognise it, whatever each calls it. */
export const DiskMark = z.object({
  name: z.string(),
  sizeBytes: z.int(),
  partitionTableUuid: z.string().optional(),
  serial: z.string().optional(),
  /** As the kernel prints it, such as `naa.…`, `eui.…` or `t10.…`. */
  wwid: z.string().optional(),
  /** Of the file system or physical volume of LVM that fills a disk without a partition table. */
  contentUuid: z.string().optional(),
  /** It has several paths, each of which a system without multipath shows as a disk of its own. */
  multipath: z.boolean().optional(),
});
export type DiskMark = z.infer<typeof DiskMark>;

export interface SeenDisk extends DiskMark {
  path: string;
}

const IDENTIFIERS = ["partitionTableUuid", "serial", "wwid", "contentUuid"] as const;
type Identifier = (typeof IDENTIFIERS)[number];
/** Two systems that see the same disk never disagree in these; each may lack them. */
const UNCHANGING: readonly Identifier[] = ["partitionTableUuid", "serial", "contentUuid"];
/** What disk controllers and adapters give to every disk. */
const EMPTY = /^(?:0x)?[0\s-]*$/;

export function markOf(disk: Disk): DiskMark {
  const { name, sizeBytes, partitionTableUuid, serial, wwid, content, multipath } = disk;
  return { name, sizeBytes, partitionTableUuid, serial, wwid, contentUuid: content?.uuid, multipath };
}

export const seenDiskOf = (disk: Disk): SeenDisk => ({ ...markOf(disk), path: disk.path });

/**
 * The disks of a job among those that this system sees: of the same size, with at least one identifier in
 * common and none that differs. Those that it does not find, or cannot tell apart, are missing from the
 * result: a wrong disk is worse than none.
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
    // A cloned disk has its original's table: only the serial number tells them apart then.
    const most = Math.max(...candidates.map(({ common }) => common.length));
    const best = candidates.filter(({ common }) => common.length === most).map(({ disk }) => disk);
    const [match, ...others] = best;
    if (!match) return [];
    const isOne = others.length === 0 || (mark.multipath === true && arePaths(mark, best));
    return isOne ? [{ name: mark.name, path: match.path }] : [];
  });
}

/** Why this disk could not be found after a restart among all of its machine's; `undefined` if it can be. */
export function whyNotRecognised(mark: DiskMark, all: readonly DiskMark[]): string | undefined {
  if (IDENTIFIERS.every((identifier) => known(mark, identifier) === undefined))
    return "it has neither a partition table nor a serial number by which it could be found again";
  if (mark.multipath && known(mark, "wwid") === undefined)
    return "its paths have no WWID by which they could be joined again";
  const seen = all.map((each, index) => ({ ...each, path: String(index) }));
  // Of this machine's own list every path is left out but one: two with the same identifiers are two disks.
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
    const [a, b] = [known(mark, identifier), known(disk, identifier)];
    return a !== undefined && b !== undefined && a !== b;
  });
}

function commonIdentifiers(mark: DiskMark, disk: DiskMark): Identifier[] {
  return IDENTIFIERS.filter((identifier) => {
    const own = known(mark, identifier);
    return own !== undefined && own === known(disk, identifier);
  });
}

function known(mark: DiskMark, identifier: Identifier): string | undefined {
  const value = mark[identifier]?.trim();
  return value === undefined || EMPTY.test(value) ? undefined : value;
}

function arePaths(mark: DiskMark, disks: readonly DiskMark[]): boolean {
  const wwid = known(mark, "wwid");
  return wwid !== undefined && disks.every((disk) => known(disk, "wwid") === wwid);
}
